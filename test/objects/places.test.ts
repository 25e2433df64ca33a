import { describe, expect, it } from "vitest";

import type { CallTold } from "../../src/ledgers/provider-rpc.ts";
import { LASTS_MS, stageProvider, told } from "./provider-stage.ts";
import { queues } from "./support.ts";

/** The lane with the fewest places, and how many (LANE_CONCURRENCY_LONG). */
const lane = "long";
const LONG = 45;

/** From a grant to the beginning of its call. */
const USE_MS = 3_500;

const { provider, permitted, granted, stored, nextTurns, evict, jobAt } = stageProvider();

/** That the call under this permit is over. */
function over(id: string | null): CallTold {
  return { ...told(), remaining: [{ id: id ?? "", calls: 0 }] };
}

/** Takes all its places, and parks so many more. The first call's permit. */
async function filled(parked: number): Promise<string | null> {
  const { id } = await permitted({ lane });
  expect(await granted(LONG - 1, { lane })).toBe(LONG - 1);
  expect(await granted(parked, { lane })).toBe(0);
  return id;
}

describe("a lane with all its places taken", () => {
  it("parks who comes, and rings for the next when a call is over, once however often it is told", async () => {
    const id = await filled(2);
    const before = queues.sent.length;
    for (let twice = 0; twice < 2; twice++) await provider().settle(over(id));
    const rung = queues.sent.slice(before).map(({ to, body }) => ({ to, job: body.job }));
    expect(rung).toEqual([{ to: "LANE_LONG", job: jobAt(1) }]);
    expect(queues.sent.at(-1)?.body.needs).toMatchObject({ lastsMs: LASTS_MS });
    expect(await granted(1, { lane: "high" })).toBe(1);
  });

  it("takes the place of a call that was not made back", async () => {
    const id = await filled(1);
    await provider().giveBack(id);
    expect(queues.sent.at(-1)?.body.job).toBe(jobAt());
  });

  it("rings by its alarm once its calls must be over, though their consumers died", async () => {
    await filled(1);
    expect((await stored()).alarm).toBe(Date.now() + LASTS_MS + USE_MS);
    expect(await nextTurns()).toEqual([{ to: "LANE_LONG", job: jobAt() }]);
  });

  it("is empty after an eviction, and rings for those who wait: nobody waits for ever", async () => {
    const id = await filled(2);
    await evict();
    const before = queues.sent.length;
    await provider().settle(over(id));
    expect(queues.sent.length - before).toBe(2);
    expect(await granted(1, { lane })).toBe(1);
  });
});
