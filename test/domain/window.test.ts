import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { addActive, countActive } from "../../src/domain/active.ts";
import { keptSince, UNIT_MS, windowOf } from "../../src/domain/window.ts";
import { DAY, HOUR, MINUTE, NOW, SECOND } from "./fixtures.ts";

describe("a window", () => {
  it.each([
    ["a minute", 60, "minute", NOW + 29 * MINUTE],
    ["a minute and a bit", 61, "minute", NOW + 29 * MINUTE],
    ["an hour", 3_600, "minute", NOW - 30 * MINUTE],
    ["more than an hour", 3_601, "hour", NOW - HOUR],
    ["a day", 86_400, "hour", NOW - DAY],
  ] as const)("of %s begins with the unit it reaches into", (_, seconds, unit, since) => {
    expect(windowOf(seconds, NOW + 30 * MINUTE + 30 * SECOND)).toEqual({ unit, since });
  });

  it("holds all of the last seconds, at most one unit more, and only what is kept", () => {
    const seconds = fc.integer({ min: 60, max: 86_400 });
    fc.assert(
      fc.property(seconds, fc.integer({ min: NOW, max: NOW + DAY }), (seconds, now) => {
        const { unit, since } = windowOf(seconds, now);
        expect(since).toBeLessThanOrEqual(now - seconds * SECOND);
        expect(since).toBeGreaterThan(now - seconds * SECOND - UNIT_MS[unit]);
        expect(since % UNIT_MS[unit]).toBe(0);
        expect(since).toBeGreaterThanOrEqual(keptSince(unit, now));
      }),
    );
  });
});

describe("active jobs", () => {
  it("are counted by lane until their time is over for certain", () => {
    const active = [
      { lane: "high", expiresAt: NOW + 1 },
      { lane: "long", expiresAt: NOW + 1 },
      { lane: "long", expiresAt: NOW + HOUR },
      { lane: "low", expiresAt: NOW },
    ] as const;
    const counts = countActive(active, NOW);
    expect(counts).toEqual({ high: 1, normal: 0, low: 0, long: 2 });
    expect(addActive(counts, counts)).toEqual({ high: 2, normal: 0, low: 0, long: 4 });
  });
});
