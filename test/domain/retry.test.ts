import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  parseRetryAfter,
  retryDelayMs,
  ringDelayMs,
  type BackOff,
} from "../../src/domain/retry.ts";
import { DAY, HOUR, MINUTE, NOW, SECOND } from "./fixtures.ts";

const BACK_OFF: BackOff = { baseMs: 5 * SECOND, maxMs: 300 * SECOND };
const MIDDLE = 0.5;
const LAST = 1 - Number.EPSILON / 2;

describe("the back-off between attempts", () => {
  it.each([
    [1, 5_000],
    [2, 10_000],
    [3, 20_000],
    [6, 160_000],
    [7, 300_000],
    [10, 300_000],
    [2_000, 300_000],
  ])("after %i failures is nominally %i ms", (failures, ms) => {
    expect(retryDelayMs(failures, BACK_OFF, null, MIDDLE)).toBe(ms);
  });

  it("is spread by a fifth to either side, so that jobs do not come back together", () => {
    expect(retryDelayMs(1, BACK_OFF, null, 0)).toBe(4_000);
    expect(retryDelayMs(1, BACK_OFF, null, LAST)).toBe(6_000);
  });

  it("is never longer than the longest, not even by its spread", () => {
    expect(retryDelayMs(7, BACK_OFF, null, LAST)).toBe(300_000);
  });

  it("starts at two seconds for an interactive job", () => {
    expect(retryDelayMs(1, { ...BACK_OFF, baseMs: 2_000 }, null, MIDDLE)).toBe(2_000);
  });

  it.each([
    ["a longer wait is kept to", 42_000, 42_000],
    ["a shorter wait does not shorten ours", 1_000, 5_000],
    ["no wait does not shorten ours", 0, 5_000],
    ["a wait of a day is cut to our longest", DAY, 300_000],
    ["a wait of ages is cut to our longest", Number.MAX_SAFE_INTEGER, 300_000],
  ])("the provider's Retry-After is a floor: %s", (_, retryAfterMs, ms) => {
    expect(retryDelayMs(1, BACK_OFF, retryAfterMs, MIDDLE)).toBe(ms);
  });

  it("is a whole number of milliseconds between zero and the longest, whatever it is made of", () => {
    const jitter = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const span = fc.integer({ min: 1, max: DAY });
    const asked = fc.option(fc.integer({ min: 0, max: 365 * DAY }));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        span,
        span,
        asked,
        jitter,
        (failures, ...rest) => {
          const [baseMs, maxMs, retryAfterMs, at] = rest;
          const delay = retryDelayMs(failures, { baseMs, maxMs }, retryAfterMs, at);
          expect(Number.isInteger(delay)).toBe(true);
          expect(delay).toBeGreaterThanOrEqual(0);
          expect(delay).toBeLessThanOrEqual(maxMs);
        },
      ),
    );
  });
});

describe("the doorbell", () => {
  it.each([
    [1, 30 * SECOND],
    [2, MINUTE],
    [5, 8 * MINUTE],
    [6, 15 * MINUTE],
    [500, 15 * MINUTE],
  ])("that rang %i times rings again after %i ms", (rings, ms) => {
    expect(ringDelayMs(rings)).toBe(ms);
  });
});

describe("a Retry-After header", () => {
  it.each([
    ["seconds", "120", 120_000],
    ["no seconds", "0", 0],
    ["seconds with blanks around them", " 7 ", 7_000],
    ["fractions of a second, as some providers send them", "1.5", 1_500],
    ["very many seconds", "9999999999", 9_999_999_999_000],
    ["a date to come", "Sun, 22 Nov 2026 12:00:30 GMT", 30_000],
    ["a date far off", "Mon, 23 Nov 2026 12:00:00 GMT", DAY],
    ["a date that has passed", "Sun, 22 Nov 2026 11:00:00 GMT", 0],
  ])("of %s is %j in milliseconds", (_, header, ms) => {
    expect(parseRetryAfter(header, NOW)).toBe(ms);
  });

  it.each([
    ["absent", null],
    ["empty", ""],
    ["negative", "-5"],
    ["a word", "soon"],
    ["a number too long to mean anything", "99999999999999999999"],
    ["a number with a unit", "5s"],
    ["hexadecimal", "0x10"],
    ["exponential", "1e9"],
    ["not finite", "Infinity"],
    ["not a number", "NaN"],
    ["a list", "5, 10"],
    ["a date without its day's name", "2026-11-22T12:00:30Z"],
    ["a day's name without a date", "Sun, whenever"],
    ["a word and a number, which Date.parse takes for a date", "try 5"],
    ["a date that does not exist", "Sun, 99 Nov 2026 12:00:30 GMT"],
  ])("that is %s (%j) says nothing", (_, header) => {
    expect(parseRetryAfter(header, NOW)).toBeNull();
  });

  it("is never a negative or an endless wait, whatever a provider sends", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: NOW, max: NOW + 1_000 * HOUR }), (header, now) => {
        const ms = parseRetryAfter(header, now);
        expect(ms === null || (Number.isFinite(ms) && ms >= 0)).toBe(true);
      }),
    );
  });
});
