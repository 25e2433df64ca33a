import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  meanServiceMs,
  NO_SERVICE_TIMES,
  observed,
  serviceMs,
  UNKNOWN_SERVICE_MS,
  type ServiceTimes,
} from "../../src/domain/service-times.ts";
import { counted, NONE_COUNTED, perSecond, type Tally } from "../../src/domain/tally.ts";
import { DAY, HOUR, MINUTE, NOW, SECOND } from "./fixtures.ts";

const HALF_LIFE = 10 * MINUTE;

/** After jobs of these models, each with what it took, one a second. */
function after(...jobs: [model: string, ms: number][]): ServiceTimes {
  return jobs.reduce(
    (times, [model, ms], at) => observed(times, model, ms, NOW + at * SECOND),
    NO_SERVICE_TIMES,
  );
}

function repeated<T>(count: number, job: T): T[] {
  return Array.from({ length: count }, () => job);
}

describe("what a model's jobs take", () => {
  it("is unknown before one was measured", () => {
    expect(serviceMs(NO_SERVICE_TIMES, "fast")).toBeNull();
    expect(meanServiceMs(NO_SERVICE_TIMES)).toBe(UNKNOWN_SERVICE_MS);
  });

  it("is what the first one took, and then about the mean of the first few", () => {
    expect(serviceMs(after(["fast", 4_000]), "fast")).toBe(4_000);
    const few = serviceMs(after(["fast", 1_000], ["fast", 2_000], ["fast", 6_000]), "fast");
    expect(few).toBeCloseTo(3_000, -1);
  });

  it("is each model's own", () => {
    const times = after(["fast", 4_000], ["slow", 20_000]);
    expect([serviceMs(times, "fast"), serviceMs(times, "slow")]).toEqual([4_000, 20_000]);
  });

  it("follows a change: half of it after ten minutes of as many jobs as before", () => {
    const hour = Array.from({ length: 3_600 }, (_, at) => at * SECOND);
    const before = hour.reduce(
      (times, at) => observed(times, "fast", 4_000, NOW + at),
      NO_SERVICE_TIMES,
    );
    const changed = hour
      .slice(0, 600)
      .reduce((times, at) => observed(times, "fast", 8_000, NOW + HOUR + at), before);
    const soon = serviceMs(changed, "fast") ?? 0;
    expect(soon).toBeGreaterThan(5_900);
    expect(soon).toBeLessThan(6_100);
  });

  it.each([
    ["a clock that went back", -5, 0],
    ["an attempt that nobody ended", DAY, 15 * MINUTE],
  ])("is bounded: %s", (_, ms, told) => {
    expect(serviceMs(after(["fast", ms]), "fast")).toBe(told);
  });

  it.each([Number.NaN, Infinity])("is not changed by %d", (ms) => {
    const times = after(["fast", 4_000]);
    expect(observed(times, "fast", ms, NOW)).toBe(times);
  });

  it("is kept of 200 models, and forgotten of the one longest unheard of", () => {
    const names = Array.from({ length: 200 }, (_, at) => `model-${at}`);
    const full = after(...names.map((name): [string, number] => [name, 1_000]), ["model-0", 1_000]);
    const times = observed(full, "one more", 1_000, NOW + HOUR);
    expect(times.size).toBe(200);
    expect(serviceMs(times, "model-1")).toBeNull();
    expect(serviceMs(times, "model-0")).not.toBeNull();
    expect(serviceMs(times, "one more")).toBe(1_000);
  });

  it("is plain data", () => {
    const times = after(["fast", 4_000], ["__proto__", 20_000]);
    expect(structuredClone(times)).toEqual(times);
    expect(new Map(JSON.parse(JSON.stringify([...times])) as typeof times)).toEqual(times);
  });
});

describe("what a job of any model takes", () => {
  it("is the mean by how much each model is used", () => {
    const times = after(...repeated(3, ["fast", 4_000] as [string, number]), ["slow", 20_000]);
    expect(meanServiceMs(times)).toBeCloseTo(8_000, -2);
  });

  it("soon leaves out a model that is used no more", () => {
    const times = after(...repeated(60, ["slow", 20_000] as [string, number]));
    const now = NOW + 8 * HALF_LIFE;
    expect(meanServiceMs(observed(times, "fast", 4_000, now))).toBeLessThan(8_000);
  });

  it("lies between the shortest and the longest, whatever was measured and when", () => {
    const job = fc.tuple(
      fc.constantFrom("fast", "slow", "odd"),
      fc.integer({ min: 0, max: 15 * MINUTE }),
      fc.integer({ min: NOW - 100 * DAY, max: NOW + DAY }),
    );
    fc.assert(
      fc.property(fc.array(job, { minLength: 1 }), (jobs) => {
        const times = jobs.reduce(
          (all, [model, ms, at]) => observed(all, model, ms, at),
          NO_SERVICE_TIMES,
        );
        const took = jobs.map(([, ms]) => ms);
        // A hair to either side, for a mean of floating numbers.
        expect(meanServiceMs(times)).toBeGreaterThanOrEqual(Math.min(...took) - 1e-6);
        expect(meanServiceMs(times)).toBeLessThanOrEqual(Math.max(...took) + 1e-6);
      }),
    );
  });
});

describe("a tally", () => {
  it("tells how many come in a second, once it has seen enough of them", () => {
    let tally: Tally = NONE_COUNTED;
    for (let at = 0; at < HOUR; at += 2 * SECOND) tally = counted(tally, HALF_LIFE, NOW + at);
    expect(perSecond(tally, HALF_LIFE, NOW + HOUR)).toBeCloseTo(0.5, 1);
    expect(perSecond(tally, HALF_LIFE, NOW + HOUR + HALF_LIFE)).toBeCloseTo(0.25, 1);
  });

  it("tells of none where there was none, and where all were long ago", () => {
    expect(perSecond(NONE_COUNTED, HALF_LIFE, NOW)).toBe(0);
    expect(perSecond(counted(NONE_COUNTED, HALF_LIFE, NOW), HALF_LIFE, NOW + 30 * DAY)).toBe(0);
  });

  it("takes a clock that went back for one that stands", () => {
    const tally = counted(counted(NONE_COUNTED, HALF_LIFE, NOW), HALF_LIFE, NOW - HOUR);
    expect(tally).toEqual({ weight: 2, at: NOW });
  });
});
