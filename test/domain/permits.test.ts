import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { burstOf } from "../../src/domain/meter.ts";
import { LEAVES, Permits, type Limits } from "../../src/domain/permits.ts";
import { MINUTE, NOW, SECOND } from "./fixtures.ts";

const ONE = { requests: 1, tokens: 0 };
const USED_AT_ONCE = { until: 0, unused: false };

/** A provider that has rested for long. */
function permitsOf(requests: number | null, tokens: number | null = null): Permits {
  const permits = new Permits({ requests, tokens }, 0);
  permits.pass(NOW);
  return permits;
}

/** How many calls there is something for, one after the other, used at once. */
function drain(permits: Permits, now: number, leave = 0, tokens = 0): number {
  for (let calls = 0; ; calls++) {
    if (permits.waitMs({ requests: 1, tokens }, leave) > 0) return calls;
    permits.take(String(calls), { requests: 1, tokens }, USED_AT_ONCE);
    permits.pass(now);
  }
}

it("what is corrected while nothing is limited is not there once something is", () => {
  const permits = permitsOf(null);
  permits.correct(5_000);
  permits.limits = { requests: null, tokens: 60_000 };
  permits.pass(NOW + SECOND);
  expect(permits.room(1, 0)).toBe(900);
});

describe("permits, after a rest,", () => {
  it.each([
    [1, 1],
    [5, 2],
    [50, 5],
    [600, 60],
  ])("are a tenth of the limit of %i at once, and one or two at least", (limit, burst) => {
    expect(drain(permitsOf(limit), NOW)).toBe(burst);
  });

  it.each([
    ["high", 5],
    ["normal", 4],
    ["low", 4],
    ["long", 4],
  ] as const)("leave for better lanes what %s must", (lane, calls) => {
    expect(drain(permitsOf(50), NOW, LEAVES[lane])).toBe(calls);
  });

  it("are enough for bulk work where the limit is the smallest", () => {
    expect(drain(permitsOf(1), NOW, LEAVES.low)).toBe(1);
  });

  it("are without end where there is no limit", () => {
    const permits = permitsOf(null);
    permits.take("many", { requests: 1_000_000, tokens: 1e12 }, USED_AT_ONCE);
    expect(permits.waitMs({ requests: 1, tokens: 1e12 }, 0)).toBe(0);
  });
});

describe("a permit accrues", () => {
  it.each([
    [1, 60_000],
    [50, 1_305],
    [600, 111],
  ])("with a limit of %i in so many milliseconds: %i", (limit, ms) => {
    const permits = permitsOf(limit);
    drain(permits, NOW);
    expect(Math.ceil(permits.waitMs(ONE, 0))).toBe(ms);
    permits.pass(NOW + ms - 1);
    expect(permits.waitMs(ONE, 0)).toBeGreaterThan(0);
    permits.pass(NOW + ms);
    expect(permits.waitMs(ONE, 0)).toBe(0);
  });

  it("up to the burst and no further", () => {
    const permits = permitsOf(50);
    drain(permits, NOW);
    permits.pass(NOW + 10 * MINUTE);
    expect(drain(permits, NOW + 10 * MINUTE)).toBe(5);
  });

  it("only where there is room: what is out and may be used takes up its own", () => {
    const permits = permitsOf(50);
    permits.take("block", { requests: 5, tokens: 0 }, { until: NOW + MINUTE, unused: false });
    permits.pass(NOW + 30 * SECOND);
    expect(Math.ceil(permits.waitMs(ONE, 0))).toBe(30 * SECOND);
    permits.settle("block");
    permits.pass(NOW + 30 * SECOND);
    expect(permits.waitMs(ONE, 0)).toBeGreaterThan(0);
  });

  it("in the room of what is settled first, though it was taken last", () => {
    const permits = permitsOf(50);
    permits.take("long", { requests: 4, tokens: 0 }, { until: NOW + MINUTE, unused: false });
    permits.take("short", ONE, { until: NOW + SECOND, unused: false });
    permits.pass(NOW + MINUTE);
    expect(drain(permits, NOW + MINUTE)).toBe(1);
  });

  it("not while the clock goes back", () => {
    const permits = permitsOf(50);
    drain(permits, NOW);
    permits.pass(NOW - MINUTE);
    permits.pass(NOW);
    expect(permits.waitMs(ONE, 0)).toBeGreaterThan(0);
  });
});

describe("a permit that is not used", () => {
  it("comes back when it is given back, and only once", () => {
    const permits = permitsOf(50);
    permits.take("a", { requests: 5, tokens: 0 }, { until: NOW + SECOND, unused: false });
    for (let twice = 0; twice < 2; twice++) permits.settle("a", { requests: 9, tokens: 9 });
    expect(drain(permits, NOW)).toBe(5);
  });

  it.each([
    ["comes back by itself, where it was reserved", true, 5],
    ["is lost, where it could have been used unseen", false, 4],
  ])("%s", (_, unused, calls) => {
    const permits = permitsOf(50);
    permits.take("a", ONE, { until: NOW + 10, unused });
    permits.pass(NOW + 10);
    expect(drain(permits, NOW + 10)).toBe(calls);
  });
});

describe("tokens", () => {
  it("are limited besides requests", () => {
    expect(drain(permitsOf(600, 10_000), NOW, 0, 300)).toBe(3);
  });

  it("of one call that are more than the burst are owed afterwards", () => {
    const permits = permitsOf(null, 10_000);
    permits.take("huge", { requests: 1, tokens: 4_000 }, USED_AT_ONCE);
    permits.pass(NOW);
    const owedMs = permits.waitMs({ requests: 1, tokens: 1_000 }, 0);
    expect(owedMs / SECOND).toBeCloseTo((4_000 / 9_001) * 60, 3);
  });

  it("that were not used come back, those that were used besides are owed", () => {
    const permits = permitsOf(null, 10_000);
    expect(drain(permits, NOW, 0, 250)).toBe(4);
    permits.correct(500);
    expect(permits.room(250, 0)).toBe(2);
    permits.correct(-501);
    expect(permits.waitMs({ requests: 1, tokens: 1 }, 0)).toBeGreaterThan(0);
  });
});

/** Permits of which some are out when their limits change, and come back. */
function moved(from: Limits, to: Limits): Permits {
  const permits = new Permits(from, 0);
  permits.pass(NOW);
  permits.take("out", { requests: 2, tokens: 20 }, { until: NOW + MINUTE, unused: true });
  permits.limits = to;
  permits.settle("out", { requests: 2, tokens: 20 });
  return permits;
}

describe("a limit that changes", () => {
  it("to less takes away what is above it", () => {
    const permits = moved({ requests: 600, tokens: null }, { requests: 50, tokens: null });
    expect(drain(permits, NOW)).toBe(5);
  });

  it("from none begins with nothing, whatever comes back of before", () => {
    const permits = moved({ requests: null, tokens: null }, { requests: 50, tokens: null });
    expect(drain(permits, NOW)).toBe(0);
  });
});

/** Who takes permits: when, for how many calls, and how long after each is used. */
const TAKERS = fc.array(
  fc.record({
    later: fc.nat(4_000),
    calls: fc.integer({ min: 1, max: 8 }),
    lifeMs: fc.nat(7_000),
    usedAfter: fc.double({ min: 0, max: 0.999, noNaN: true }),
    told: fc.boolean(),
  }),
  { minLength: 50, maxLength: 300 },
);

const byTime = (a: { at: number }, b: { at: number }) => a.at - b.at;

describe("whoever takes permits and uses them whenever they like", () => {
  it("no 60 seconds see more calls than the limit", () => {
    const property = fc.property(TAKERS, fc.integer({ min: 1, max: 120 }), (takers, limit) => {
      const permits = permitsOf(limit);
      const uses: number[] = [];
      let [now, telling] = [NOW, [] as { id: string; at: number; rest: number }[]];
      for (const [at, { later, calls, lifeMs, usedAfter, told }] of takers.entries()) {
        now += later;
        for (const { id, at, rest } of telling.filter(({ at }) => at <= now).toSorted(byTime)) {
          permits.pass(at);
          permits.settle(id, { requests: rest, tokens: 0 });
        }
        telling = telling.filter(({ at }) => at > now);
        permits.pass(now);
        const amount = { requests: Math.min(calls, Math.floor(burstOf(limit))), tokens: 0 };
        if (permits.waitMs(amount, 0) > 0) continue;
        const [id, usedAt] = [String(at), now + lifeMs * usedAfter];
        permits.take(id, amount, { until: now + lifeMs, unused: false });
        // Who tells nothing of the rest has used it as well.
        const rest = told ? Math.floor(amount.requests / 2) : 0;
        if (told) telling.push({ id, at: usedAt, rest });
        for (let call = rest; call < amount.requests; call++) uses.push(usedAt);
      }
      uses.sort((a, b) => a - b);
      for (const [at, from] of uses.entries()) {
        const after = uses.slice(at).findIndex((use) => use >= from + MINUTE);
        expect(after < 0 ? uses.length - at : after).toBeLessThanOrEqual(limit);
      }
      expect(uses.length).toBeGreaterThan(0);
    });
    fc.assert(property, { numRuns: 200 });
  });
});

it("the burst of a limit is small, and whole", () => {
  expect([1, 4, 5, 50, 1_000_000].map(burstOf)).toEqual([1, 1, 2, 5, 100_000]);
});
