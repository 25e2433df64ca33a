import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { addToEver, mergeEver, MOST_NAMED, NEVER, type Ever } from "../../src/domain/ever.ts";
import { totalOf, type JobEnded } from "../../src/domain/stats.ts";
import { JOB_ENDED, NOW } from "./fixtures.ts";

const ENDED: JobEnded = { ...JOB_ENDED, costUsd: 0.5 };

function after(ever: Ever, ...ends: Partial<JobEnded>[]): Ever {
  return ends.reduce<Ever>((sum, end, at) => addToEver(sum, { ...ENDED, ...end }, NOW + at), ever);
}

/** What a model is told to have cost. */
function costOf({ tallied }: Ever, model: string): number | undefined {
  return [...tallied.shares.values()].find((share) => share.model === model)?.costNano;
}

describe("all that was ever counted", () => {
  it("is since the first fact", () => {
    expect(NEVER.since).toBeNull();
    expect(after(NEVER, {}, {}).since).toBe(NOW);
  });

  it("is by model and provider, whoever's jobs they were", () => {
    const ever = after(NEVER, { tenant: "acme" }, { tenant: "globex" });
    expect([...ever.tallied.shares.values()]).toEqual([
      expect.objectContaining({ tenant: "", model: "gpt-4o", jobs: 2, completionTokens: 180 }),
    ]);
  });

  it("keeps the names it has, however dear a new one is; the new one counts with the rest", () => {
    const named = Array.from({ length: MOST_NAMED }, (_, at) => ({ model: `cheap-${at}` }));
    const ever = after(NEVER, ...named, { model: "dear", costUsd: 1_000 }, { model: "cheap-0" });
    expect(ever.tallied.shares.size).toBe(MOST_NAMED);
    expect(costOf(ever, "dear")).toBeUndefined();
    expect(costOf(ever, "cheap-0")).toBe(1_000_000_000);
    expect(ever.tallied.rest).toMatchObject({ jobs: 1, costNano: 1_000_000_000_000 });
  });

  it("holds every job once, and no count of it ever falls", () => {
    const model = fc.integer({ min: 0, max: MOST_NAMED + 10 }).map((n) => `model-${n}`);
    fc.assert(
      fc.property(fc.array(model, { maxLength: 200 }), (models) => {
        let ever = NEVER;
        for (const model of models) {
          const next = after(ever, { model });
          for (const [key, share] of ever.tallied.shares) {
            expect(next.tallied.shares.get(key)?.costNano).toBeGreaterThanOrEqual(share.costNano);
          }
          expect(next.tallied.rest.jobs).toBeGreaterThanOrEqual(ever.tallied.rest.jobs);
          ever = next;
        }
        expect(totalOf(ever.tallied).jobs).toBe(models.length);
      }),
      { numRuns: 20 },
    );
  });
});

describe("several of them", () => {
  it("are added, and are since the first of them began", () => {
    const later = addToEver(NEVER, ENDED, NOW + 5);
    for (const sum of [mergeEver(later, after(NEVER, {})), mergeEver(after(NEVER, {}), later)]) {
      expect(sum.since).toBe(NOW);
      expect(sum.tallied.completed).toBe(2);
    }
    expect(mergeEver(NEVER, later)).toEqual(later);
    expect(mergeEver(later, NEVER)).toEqual(later);
  });
});
