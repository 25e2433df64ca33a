import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { countOf } from "../../src/domain/histogram.ts";
import {
  groupBy,
  merge,
  NOTHING,
  tallyOf,
  totalOf,
  trim,
  wholeOf,
  type JobEnded,
  type JobStarted,
  type Share,
  type StatsFact,
  type Tallied,
  type Tally,
} from "../../src/domain/stats.ts";
import { LANES } from "../../src/domain/lane.ts";
import { ErrorCode } from "../../src/schema/job.ts";
import { JOB_ENDED } from "./fixtures.ts";

const STARTED: JobStarted = {
  type: "started",
  job: "job-1",
  lane: "normal",
  queueMs: 40,
  expiresAt: 0,
};

function spends(tenant: string, costUsd: number): JobEnded {
  return { ...JOB_ENDED, tenant, costUsd };
}

function tallied(...facts: StatsFact[]): Tallied {
  return facts.map(tallyOf).reduce(merge, NOTHING);
}

const count = fc.integer({ min: 0, max: 5 });
const dollars = fc.integer({ min: 0, max: 10_000_000 }).map((nano) => nano / 1e9);
const name = fc.constantFrom("a", "b", "c", "__proto__", 'x","y', "x");
const errorCode: fc.Arbitrary<ErrorCode | null> = fc.option(fc.constantFrom(...ErrorCode.options));
const measured: fc.Arbitrary<number | null> = fc.option(fc.integer({ min: 0, max: 1_000_000 }));
const costUsd: fc.Arbitrary<number | null> = fc.option(dollars);
const factStarted: fc.Arbitrary<StatsFact> = fc.record({
  type: fc.constant("started"),
  job: name,
  lane: fc.constantFrom(...LANES),
  queueMs: measured,
  expiresAt: count,
});
const factRetried: fc.Arbitrary<StatsFact> = fc.record({
  type: fc.constant("retried"),
  job: name,
  errorCode: fc.constantFrom(...ErrorCode.options),
});
const factEnded: fc.Arbitrary<StatsFact> = fc.record({
  type: fc.constant("ended"),
  job: name,
  tenant: name,
  model: name,
  provider: name,
  status: fc.constantFrom("completed", "failed", "cancelled"),
  errorCode,
  ttftMs: measured,
  totalMs: fc.integer({ min: 0, max: 1_000_000 }),
  costUsd,
  wastedCostUsd: dollars,
  promptTokens: count,
  completionTokens: count,
});
const SUMS = ["jobs", "failed", "costNano", "wastedNano", "promptTokens"] as const;
const fact = fc.oneof(factStarted, factRetried, factEnded);
const facts = fc.array(fact, { maxLength: 40 });
/** What may lie in a row: some of the shares have gone to the rest already. */
const part = fc
  .tuple(facts, fc.integer({ min: 0, max: 4 }))
  .map(([given, most]) => trim(tallied(...given), most));

describe("a fact", () => {
  it.each<[string, StatsFact, Partial<Tallied>, number]>([
    ["a job starting", STARTED, { started: 1 }, 1],
    [
      "a job starting anew, which has waited before",
      { ...STARTED, queueMs: null },
      { started: 0 },
      0,
    ],
    [
      "an attempt to be followed by another",
      { type: "retried", job: "job-1", errorCode: "stalled" },
      { retriedFor: new Map([["stalled", 1]]), failedFor: new Map(), failed: 0 },
      0,
    ],
  ])("of %s is counted as such", (_, fact, expected, waits) => {
    const counted = tallied(fact);
    expect(counted).toMatchObject(expected);
    expect(countOf(counted.queueMs)).toBe(waits);
  });

  it.each<[string, Partial<JobEnded>, Partial<Tallied>, number]>([
    ["completed", {}, { completed: 1, failed: 0, cancelled: 0 }, 1],
    [
      "failed",
      { status: "failed", errorCode: "timeout" },
      { failed: 1, completed: 0, failedFor: new Map([["timeout", 1]]) },
      0,
    ],
    ["cancelled", { status: "cancelled" }, { cancelled: 1, completed: 0, failed: 0 }, 0],
  ])("of a job that has %s is counted as such", (_, over, expected, latencies) => {
    const counted = tallied({ ...JOB_ENDED, ...over });
    expect(counted).toMatchObject(expected);
    expect(countOf(counted.latencyMs)).toBe(latencies);
  });

  it("of a model that never spoke measures no first token", () => {
    expect(countOf(tallied({ ...JOB_ENDED, ttftMs: null }).ttftMs)).toBe(0);
  });

  it("of a cost says what was paid in all, and what of it for nothing", () => {
    const costs = { costUsd: 0.002, wastedCostUsd: 0.001 };
    const total = totalOf(tallied({ ...JOB_ENDED, ...costs }, { ...JOB_ENDED, costUsd: null }));
    expect(total).toMatchObject({ jobs: 2, costNano: 3_000_000, wastedNano: 1_000_000 });
  });

  it("of an end says how many tokens it took; who is of an older version does not say", () => {
    const { promptTokens: _, completionTokens: __, ...old } = JOB_ENDED;
    const total = totalOf(tallied(JOB_ENDED, old));
    expect(total).toMatchObject({ jobs: 2, promptTokens: 9, completionTokens: 90 });
  });
});

describe("what is counted", () => {
  it("is the same in whatever order it is added up, to the billionth of a dollar", () => {
    fc.assert(
      fc.property(part, part, part, (a, b, c) => {
        expect(merge(a, b)).toEqual(merge(b, a));
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
        expect(merge(a, NOTHING)).toEqual(a);
        expect(totalOf(merge(a, b)).jobs).toBe(totalOf(a).jobs + totalOf(b).jobs);
      }),
    );
  });

  it("is the same whether it is counted in one place or in several", () => {
    fc.assert(
      fc.property(facts, facts, (here, there) => {
        const apart = merge(tallied(...here), tallied(...there));
        expect(apart).toEqual(tallied(...here, ...there));
      }),
    );
  });

  it("is every fact, once, however it is grouped and trimmed", () => {
    fc.assert(
      fc.property(facts, fc.integer({ min: 0, max: 4 }), (given, most) => {
        const whole = tallied(...given);
        const trimmed = trim(whole, most);
        expect(trimmed.shares.size).toBeLessThanOrEqual(most);
        expect(totalOf(trimmed)).toEqual(totalOf(whole));
        expect(whole.started).toBe(countOf(whole.queueMs));
        const ends = whole.completed + whole.failed + whole.cancelled;
        expect(ends).toBe(given.filter(({ type }) => type === "ended").length);
        const retries = [...whole.retriedFor.values()].reduce((sum, times) => sum + times, 0);
        expect(retries).toBe(given.filter(({ type }) => type === "retried").length);
        expect(totalOf(whole).jobs).toBe(ends);
        for (const field of ["tenant", "model", "provider"] as const) {
          const groups = groupBy(trimmed, field, most);
          for (const sum of SUMS) {
            const all = groups.reduce((total, group) => total + group[sum], 0);
            expect(all).toBe(totalOf(whole)[sum]);
          }
          const names = groups.map(({ value }) => value);
          expect(new Set(names).size).toBe(names.length);
        }
      }),
    );
  });

  it("keeps the names of whoever pays most; the others are together, and nobody's name", () => {
    const all = tallied(spends("small", 0.1), spends("other", 3), spends("large", 9));
    const groups = groupBy(trim(all, 2), "tenant", 100);
    expect(groups.map(({ value, costNano }) => [value, costNano / 1e9])).toEqual([
      ["large", 9],
      ["other", 3],
      [null, 0.1],
    ]);
    expect(groupBy(all, "tenant", 1).map(({ value }) => value)).toEqual(["large", null]);
  });

  it("by an older version is whole with what is counted since: none of it", () => {
    const { undelivered: _, ...counts } = trim(tallied(spends("acme", 1), spends("globex", 2)), 1);
    const old = JSON.parse(
      JSON.stringify({ ...counts, shares: [...counts.shares] }, (name, value: unknown) =>
        name.endsWith("Tokens") ? undefined : value,
      ),
    ) as { shares: [string, Share][]; rest: Tally };
    const before = { ...counts, rest: old.rest, shares: new Map(old.shares) };
    expect(totalOf({ ...NOTHING, ...before }).promptTokens).toBeNaN();
    const sum = merge(wholeOf(before), tallied(JOB_ENDED));
    expect(sum.undelivered).toBe(0);
    expect(totalOf(sum)).toMatchObject({ jobs: 3, promptTokens: 9 });
  });

  it("tells apart names that only look alike when they are written one after the other", () => {
    const shares = tallied(
      { ...JOB_ENDED, tenant: "a", model: 'b","c' },
      { ...JOB_ENDED, tenant: 'a","b', model: "c" },
    );
    expect(shares.shares.size).toBe(2);
  });
});
