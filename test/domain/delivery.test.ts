import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { alertChange } from "../../src/domain/alert.ts";
import { nextAttemptMs } from "../../src/domain/delivery.ts";

const FAILED = { type: "failed", retryAfterMs: null } as const;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

describe("a delivery that failed", () => {
  const waits = [1, 2, 4, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map(
    (seconds) => seconds * SECOND,
  );

  it.each(waits.map((wait, at) => [at + 1, wait] as const))(
    "%d times is tried again after %d ms, give or take a fifth",
    (attempts, wait) => {
      expect(nextAttemptMs(attempts, FAILED, 0.5)).toBe(wait);
      fc.assert(
        fc.property(fc.double({ min: 0, max: 0.999, noNaN: true }), (jitter) => {
          const ms = nextAttemptMs(attempts, FAILED, jitter) ?? Number.NaN;
          expect(ms).toBeGreaterThanOrEqual(wait * 0.8);
          expect(ms).toBeLessThanOrEqual(wait * 1.2);
        }),
      );
    },
  );

  it("twelve times is given up", () => {
    expect(nextAttemptMs(12, FAILED, 0.5)).toBeNull();
  });

  it("waits as long as its receiver asks or up to a fifth more, but never longer than a day", () => {
    expect(nextAttemptMs(1, { ...FAILED, retryAfterMs: 90 * SECOND }, 0)).toBe(90 * SECOND);
    expect(nextAttemptMs(1, { ...FAILED, retryAfterMs: 90 * SECOND }, 0.5)).toBe(99 * SECOND);
    expect(nextAttemptMs(4, { ...FAILED, retryAfterMs: SECOND }, 0.5)).toBe(5 * MINUTE);
    expect(nextAttemptMs(1, { ...FAILED, retryAfterMs: 1_000 * HOUR }, 0.5)).toBe(24 * HOUR);
  });
});

describe("a delivery that has ended", () => {
  it.each(["delivered", "gone"] as const)("as %s is not tried again", (type) => {
    expect(nextAttemptMs(1, { type, retryAfterMs: null }, 0.5)).toBeNull();
  });
});

describe("an alert about depth", () => {
  it.each([
    [99, false, null],
    [100, false, null],
    [101, false, "raise"],
    [101, true, null],
    [5_000, true, null],
    [100, true, "lower"],
    [0, true, "lower"],
  ] as const)("at %d open letters, raised: %s, does: %s", (depth, raised, change) => {
    expect(alertChange(depth, 100, raised)).toBe(change);
  });
});
