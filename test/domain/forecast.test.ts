import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { forecast, MOST_SECONDS, type Prospect } from "../../src/domain/forecast.ts";
import { DAY, HOUR, MINUTE, SECOND } from "./fixtures.ts";

type Over = Partial<Omit<Prospect, "lane" | "permits">> &
  Partial<Prospect["lane"]> &
  Partial<Prospect["permits"]>;

/** A lane of ten places with jobs of ten seconds, so that a place comes free each second, and no limit of the provider. */
function prospect(over: Over = {}): Prospect {
  const { running = 0, concurrency = 10, perSecond = null, left = 0, blockedForMs = 0 } = over;
  const { ahead = 0, overtakenPerSecond = 0, serviceMs = 10 * SECOND, dueInMs = 0 } = over;
  return {
    ahead,
    overtakenPerSecond,
    lane: { running, concurrency },
    permits: { perSecond, left, blockedForMs },
    serviceMs,
    dueInMs,
  };
}

const FULL = { running: 10 };

describe("a job's start is expected", () => {
  it.each<[string, Over, number]>([
    ["at once where there is a place", {}, 0],
    ["at once for the last of the places", { ahead: 4, running: 5 }, 0],
    ["when the next place comes free", { ...FULL }, 1],
    ["a place later for each that is ahead", { ...FULL, ahead: 30 }, 31],
    ["later if jobs take longer", { ...FULL, ahead: 30, serviceMs: 20 * SECOND }, 62],
    ["at once where permits are left", { ahead: 4, perSecond: 2, left: 5 }, 0],
    ["when the permits for all ahead have come", { ahead: 9, perSecond: 2, left: 0 }, 5],
    ["less long by what is left", { ahead: 9, perSecond: 2, left: 4 }, 3],
    ["when a part of a permit has become a whole one", { perSecond: 0.1, left: 0.5 }, 5],
    ["by the places, if they are slower", { ...FULL, ahead: 30, perSecond: 2 }, 31],
    ["by the permits, if they are slower", { ...FULL, ahead: 30, perSecond: 0.5 }, 62],
    ["when the block is over", { blockedForMs: 30 * SECOND }, 30],
    ["a permit after the block", { blockedForMs: 30 * SECOND, perSecond: 0.1 }, 40],
    ["into a place that came free in the block", { ...FULL, blockedForMs: 5 * SECOND }, 5],
    ["behind those who take the places first", { ...FULL, ahead: 30, blockedForMs: 5_000 }, 31],
    ["when it is due", { dueInMs: 1_001 }, 2],
    ["at once where it was due long ago", { dueInMs: -HOUR }, 0],
    ["at the end of the line it finds when it is due", { ...FULL, ahead: 30, dueInMs: MINUTE }, 91],
    ["later if others overtake", { ...FULL, ahead: 30, overtakenPerSecond: 0.5 }, 62],
    ["in twice the time at most, however many overtake", { ...FULL, overtakenPerSecond: 9 }, 2],
    ["after a day at most, where it is for ever", { perSecond: 0 }, MOST_SECONDS],
    ["at once where whoever counted was off by some", { ahead: -3, running: -2 }, 0],
  ])("%s", (_, over, seconds) => {
    expect(forecast(prospect(over)).seconds).toBe(seconds);
  });

  it.each([
    [0, 0],
    [7, 7],
    [7.9, 7],
    [-1, 0],
  ])("with %f ahead at position %i", (ahead, position) => {
    expect(forecast(prospect({ ahead })).position).toBe(position);
  });
});

describe("whatever a job's prospect", () => {
  const count = fc.oneof(fc.integer({ min: -5, max: 500 }), fc.nat());
  const rate = fc.double({ min: 0, max: 1_000, noNaN: true });
  const span = fc.integer({ min: -MINUTE, max: 2 * DAY });
  const any = fc.record({
    ahead: count,
    overtakenPerSecond: rate,
    running: count,
    concurrency: count,
    perSecond: fc.option(rate),
    left: fc.double({ min: -1, max: 100, noNaN: true }),
    blockedForMs: span,
    serviceMs: span,
    dueInMs: span,
  });

  it("it is told whole seconds from none to a day", () => {
    fc.assert(
      fc.property(any, (over) => {
        const { position, seconds } = forecast(prospect(over));
        expect(Number.isSafeInteger(position) && position >= 0).toBe(true);
        expect(Number.isSafeInteger(seconds)).toBe(true);
        expect(seconds).toBeGreaterThanOrEqual(0);
        expect(seconds).toBeLessThanOrEqual(MOST_SECONDS);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each<[string, (over: Over) => Over]>([
    ["another is ahead", (over) => ({ ...over, ahead: (over.ahead ?? 0) + 1 })],
    ["another runs", (over) => ({ ...over, running: (over.running ?? 0) + 1 })],
    ["a place is taken away", (over) => ({ ...over, concurrency: (over.concurrency ?? 0) - 1 })],
    ["the block lasts longer", (over) => ({ ...over, blockedForMs: (over.blockedForMs ?? 0) + 1 })],
    ["it is due later", (over) => ({ ...over, dueInMs: (over.dueInMs ?? 0) + SECOND })],
    ["permits come half as fast", (over) => ({ ...over, perSecond: (over.perSecond ?? 1e6) / 2 })],
    ["a permit is spent", (over) => ({ ...over, left: (over.left ?? 0) - 1 })],
  ])("it starts no sooner if %s", (_, worsened) => {
    const sane = fc.record({
      ahead: fc.nat(500),
      overtakenPerSecond: rate,
      running: fc.nat(50),
      concurrency: fc.integer({ min: 2, max: 50 }),
      perSecond: fc.option(rate),
      left: fc.double({ min: 0, max: 100, noNaN: true }),
      blockedForMs: fc.nat(HOUR),
      serviceMs: fc.integer({ min: 1, max: 15 * MINUTE }),
      dueInMs: span,
    });
    fc.assert(
      fc.property(sane, (over) => {
        const worse = forecast(prospect(worsened(over)));
        expect(worse.seconds).toBeGreaterThanOrEqual(forecast(prospect(over)).seconds);
      }),
    );
  });
});
