import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ProviderView } from "../../src/schema/provider.ts";
import { mostInAMinute } from "../domain/permit-world.ts";
import { expectJson } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

/** Of requests in a minute, as an account may have them. */
const LIMIT = 300;
const FLOOD = 60;
const [FREE, ENTERPRISE] = [10, 1];

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney({ OPENAI_REQUESTS_PER_MINUTE: String(LIMIT) });
});
afterAll(() => journey.close());

async function order(order: object): Promise<ProviderView> {
  const init = { method: "PUT", body: JSON.stringify(order) };
  const headers = { "content-type": "application/json" };
  const answer = await journey.api.fetch("/api/admin/providers/openai", { ...init, headers });
  return expectJson<ProviderView>(answer, 200);
}

async function submit(priority: number): Promise<string> {
  return (await journey.api.submit({ prompt: freshPrompt(), priority })).job_id;
}

describe("with a provider that allows so many calls a minute", () => {
  it("an enterprise job does not wait for a flood of free ones, which all run, each called once", async () => {
    const free = await Promise.all(Array.from({ length: FLOOD }, () => submit(FREE)));
    const enterprise = await submit(ENTERPRISE);
    await journey.api.ended(enterprise);
    const waiting = await Promise.all(free.map((id) => journey.api.read(id)));
    expect(waiting.filter(({ status }) => status === "queued").length).toBeGreaterThan(FLOOD / 6);
    const jobs = await Promise.all(
      [...free, enterprise].map((id) => journey.api.ended(id, 50_000)),
    );
    expect(new Set(jobs.map(({ status }) => status))).toEqual(new Set(["completed"]));
    expect(new Set(jobs.map(({ attempts_made }) => attempts_made))).toEqual(new Set([1]));
    const { calls } = journey.provider;
    expect(calls).toHaveLength(FLOOD + 1);
    expect(mostInAMinute(calls.map(({ startedAt }) => startedAt))).toBeLessThanOrEqual(LIMIT);
  });

  it("an operator stops all calls and lets them go on, and no attempt is lost by it", async () => {
    await order({ paused: true });
    const before = journey.provider.calls.length;
    const id = await submit(ENTERPRISE);
    const parked = async (): Promise<number> => (await order({})).parked.high;
    await expect.poll(parked, { timeout: 20_000 }).toBe(1);
    expect(journey.provider.calls).toHaveLength(before);
    await order({ paused: false });
    expect(await journey.api.ended(id)).toMatchObject({ status: "completed", attempts_made: 1 });
  });
});
