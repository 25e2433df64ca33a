import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";

import type { BatchView } from "../../src/schema/batch.ts";
import type { JobView } from "../../src/schema/job.ts";
import { expectJson } from "../support/api.ts";
import { Batches } from "../support/batches.ts";
import { freshPrompt, startProcessJourney, type ProcessJourney } from "../support/journey.ts";

const ITEMS = 200;

let journey: ProcessJourney;
let batches: Batches;
beforeAll(async () => {
  journey = await startProcessJourney({ LEASE_SECONDS: "3", MAX_STALLS: "9" });
  batches = new Batches(journey.api);
});
afterAll(() => journey.close());

async function killAndRestart(): Promise<void> {
  await journey.product.kill();
  await journey.product.start();
}

/** Every job of the batch there is, by the list of the tenant's jobs. */
async function jobsOf(batchId: string): Promise<JobView[]> {
  const found: JobView[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query = cursor === "" ? "" : `&cursor=${cursor}`;
    const answer = await journey.api.fetch(`/api/jobs?limit=100${query}`);
    const page: { jobs: JobView[]; next_cursor: string | null } = await expectJson(answer, 200);
    found.push(...page.jobs.filter(({ batch_id }) => batch_id === batchId));
    cursor = page.next_cursor;
  }
  return found;
}

it("F41: a batch whose fan-out is killed again and again loses no item and doubles none", async () => {
  const prompts = Array.from({ length: ITEMS }, () => freshPrompt("[tokens=3]"));
  const { batch_id, job_ids } = await batches.submit({ prompts });
  // Right behind the 202, then while jobs are made and run.
  await killAndRestart();
  for (let kills = 0; kills < 2; kills++) {
    await sleep(700);
    await killAndRestart();
  }
  const view: BatchView = await batches.ended(batch_id, 120_000);
  expect(view).toMatchObject({ status: "completed", status_counts: { completed: ITEMS } });
  const results = await batches.results(batch_id);
  expect(results.map(({ job_id }) => job_id)).toEqual(job_ids);
  const listed = await expectAll(batch_id);
  const places = listed.map(({ batch_index = -1 }) => batch_index).toSorted((a, b) => a - b);
  expect(places).toEqual(prompts.map((_, at) => at));
  // A job that was under way when it was killed is begun again; none is called beside another.
  for (const { batch_index = -1, attempts_made } of listed) {
    const calls = journey.provider.callsFor(prompts[batch_index] ?? "");
    expect(calls.length).toBeGreaterThanOrEqual(1);
    expect(calls.length).toBeLessThanOrEqual(attempts_made);
  }
}, 200_000);

/** The list hears of jobs a moment after they do. */
async function expectAll(batchId: string): Promise<JobView[]> {
  const listed = async () => (await jobsOf(batchId)).length;
  await expect.poll(listed, { timeout: 60_000, interval: 1_000 }).toBe(ITEMS);
  return jobsOf(batchId);
}
