import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ProviderView } from "../../src/schema/provider.ts";
import { MOST_SECONDS } from "../../src/domain/forecast.ts";
import { accrualOf } from "../../src/domain/meter.ts";
import type { JobList } from "../../src/schema/listing.ts";
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
    const last = free.at(-1) ?? "";
    const { queue_position: place = 0, estimated_wait: seconds = 0 } = await journey.api.readUntil(
      last,
      ({ queue_position = 0, estimated_wait = 0 }) => queue_position > 5 && estimated_wait > 0,
    );
    expect(place).toBeLessThan(FLOOD);
    // By the limit, and at most twice as long: who goes before it has come lately, too.
    expect(seconds).toBeLessThanOrEqual(Math.ceil((2 * (place + 1)) / accrualOf(LIMIT)));
    const behind = await journey.api.submit({ prompt: freshPrompt(), priority: FREE });
    expect(behind.estimated_wait).toBeGreaterThan(0);
    await journey.api.cancel(behind.job_id);
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
    // Until when is not known, and that is said.
    expect(await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 60 })).toMatchObject({
      estimated_wait: MOST_SECONDS,
    });
    const listed = await journey.api.fetch("/api/jobs?status=queued&limit=2");
    const { jobs } = await expectJson<JobList>(listed, 200);
    expect(jobs.map(({ estimated_wait }) => estimated_wait)).toEqual([MOST_SECONDS, MOST_SECONDS]);
    await order({ paused: false });
    expect(await journey.api.ended(id)).toMatchObject({ status: "completed", attempts_made: 1 });
  });
});
