import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ProviderView } from "../../src/schema/provider.ts";
import { expectJson } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

/** Nobody says how much may be asked of it but the provider itself. */
const MODEL = "groq/llama-3.3-70b-versatile";
const PATH = "/api/admin/providers/groq";

/** Twelve a minute: an eleventh part of a minute gives one back. */
const HEADERS =
  "x-ratelimit-limit-requests:12,x-ratelimit-remaining-requests:11,x-ratelimit-reset-requests:5s";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

async function state(): Promise<ProviderView> {
  return expectJson<ProviderView>(await journey.api.fetch(PATH), 200);
}

async function order(order: object): Promise<ProviderView> {
  const headers = { "content-type": "application/json" };
  const init = { method: "PUT", headers, body: JSON.stringify(order) };
  return expectJson<ProviderView>(await journey.api.fetch(PATH, init), 200);
}

async function submit(prompt = freshPrompt()): Promise<string> {
  return (await journey.api.submit({ prompt, model: MODEL })).job_id;
}

async function parked(): Promise<number> {
  return (await state()).parked.normal;
}

describe("what a provider says of its limits", () => {
  it("is learned from an answer, shown, and kept to: fewer calls reach it than without", async () => {
    expect(await state()).toMatchObject({ requests_per_minute: 50, learned: [] });
    await journey.api.ended(await submit(freshPrompt(`[tokens=1 headers=${HEADERS}]`)));
    await expect.poll(async () => (await state()).requests_per_minute).toBe(12);
    expect((await state()).learned).toMatchObject([{ requests_per_minute: 12 }]);
    expect(await order({ requests_per_minute: 500 })).toMatchObject({
      requests_per_minute: 12,
      ordered: { requests_per_minute: 500 },
    });
    const before = journey.provider.calls.length;
    const ids = await Promise.all([1, 2, 3, 4, 5].map(() => submit()));
    await expect.poll(parked).toBeGreaterThanOrEqual(2);
    expect(journey.provider.calls.length - before).toBeLessThanOrEqual(3);
    // The operator lifts it: the same jobs are called at once.
    expect(await order({ requests_per_minute: 0 })).toMatchObject({ requests_per_minute: null });
    const jobs = await Promise.all(ids.map((id) => journey.api.ended(id)));
    expect(jobs.map(({ attempts_made }) => attempts_made)).toEqual([1, 1, 1, 1, 1]);
    expect(journey.provider.calls.length - before).toBe(5);
  });

  it("closes it for as long as a 429 asks: others are parked, and burn no attempt", async () => {
    const refused = await submit(freshPrompt("[status=429 retry-after=4 x1]"));
    await expect.poll(async () => (await state()).blocked_until).not.toBeNull();
    const prompt = freshPrompt();
    const other = await submit(prompt);
    await expect.poll(parked).toBeGreaterThanOrEqual(1);
    expect(journey.provider.callsFor(prompt)).toEqual([]);
    const [first, second] = await Promise.all([refused, other].map((id) => journey.api.ended(id)));
    expect(first).toMatchObject({ status: "completed", attempts_made: 2 });
    expect(second).toMatchObject({ status: "completed", attempts_made: 1 });
    const blockedUntil = (await state()).blocked_until;
    expect(blockedUntil).toBeNull();
  });
});
