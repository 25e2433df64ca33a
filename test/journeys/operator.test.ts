import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { JobView } from "../../src/schema/job.ts";
import { expectJson, expectProblem } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

const LETTERS = "/api/admin/dead-letter";

type Listed = { dlq_id: string; original_job_id: string; error_code: string };
type Letters = { count: number; total: number; jobs: Listed[]; next_cursor: string | null };
type Operation = { status: string; matched: number; done: number; status_url: string };

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

const get = async <T>(path: string): Promise<T> =>
  expectJson<T>(await journey.api.fetch(path), 200);

/** Jobs that failed for good. Sent again, they meet a provider that is well. */
async function outage(jobs: number, status = 400): Promise<JobView[]> {
  const ids = await Promise.all(
    Array.from({ length: jobs }, async () => {
      const prompt = freshPrompt(`[status=${status} x1]`);
      return (await journey.api.submit({ prompt, max_attempts: 1 })).job_id;
    }),
  );
  const ended = await Promise.all(ids.map((id) => journey.api.ended(id)));
  expect(new Set(ended.map((job) => job.status))).toEqual(new Set(["failed"]));
  return ended;
}

describe("after an outage the operator", () => {
  it("finds each failed job among the dead letters as soon as it says it failed, and whole", async () => {
    const [job] = await outage(1);
    const letter = await get(`${LETTERS}/${job?.dlq_id}`);
    expect(letter).toMatchObject({
      original_job_id: job?.job_id,
      error: job?.error,
      error_code: "provider_rejected",
      tenant: "dev",
      attempts: 1,
      attempt_history: [{ status: "failed", provider: "openai" }],
      request: { max_attempts: 1 },
    });
  });

  it("sees one group for one cause", async () => {
    await outage(3, 422);
    type Groups = { groups: { error: string; count: number }[] };
    const { groups } = await get<Groups>(`${LETTERS}/groups`);
    expect(groups.filter(({ error }) => error.includes("422"))).toMatchObject([{ count: 3 }]);
  });

  it("sends one again with one call: a new job, first in line, and the same however often asked", async () => {
    const [job] = await outage(1);
    const retry = () => journey.api.post(`${LETTERS}/${job?.dlq_id}/retry`, {});
    const [first, ...others] = await Promise.all([retry(), retry(), retry()]);
    const answer = await expectJson<{ new_job_id: string }>(first, 200);
    for (const other of others) expect(await other.json()).toEqual(answer);
    const again = await journey.api.ended(answer.new_job_id);
    expect(again).toMatchObject({
      status: "completed",
      replay_of: job?.job_id,
      priority_level: 1,
    });
    await expectProblem(
      await journey.api.fetch(`${LETTERS}/${job?.dlq_id}`),
      404,
      "dead-letter-not-found",
    );
    const byClient = await journey.api.again(job?.job_id ?? "");
    expect(await byClient.json()).toMatchObject({ job_id: answer.new_job_id });
  });

  it("sends all of a kind again, and is told how far that is", async () => {
    const jobs = await outage(5, 413);
    const { jobs: listed } = await get<Letters>(`${LETTERS}?limit=200`);
    const ours = new Set(jobs.map(({ job_id }) => job_id));
    const ids = listed.filter((one) => ours.has(one.original_job_id)).map((one) => one.dlq_id);
    expect(ids).toHaveLength(5);
    const begun = await journey.api.post(`${LETTERS}/retry`, { ids, rate_per_second: 1_000 });
    const { status_url, matched } = await expectJson<Operation>(begun, 202);
    expect(matched).toBe(5);
    await expect
      .poll(() => get<Operation>(status_url), { timeout: 20_000 })
      .toMatchObject({ status: "done", done: 5 });
    const replays = await get<{ jobs: JobView[] }>("/api/jobs?limit=100");
    const repeated = replays.jobs.filter((job) => ours.has(job.replay_of ?? ""));
    expect(repeated).toHaveLength(5);
  });

  it("need not do what a job's owner has done: it is no longer there, and asked all the same is that job", async () => {
    const [job] = await outage(1);
    const { job_id } = await journey.api.retry(job?.job_id ?? "");
    await expect
      .poll(async () => (await journey.api.fetch(`${LETTERS}/${job?.dlq_id}`)).status)
      .toBe(404);
    const asked = await journey.api.post(`${LETTERS}/${job?.dlq_id}/retry`, {});
    expect(await asked.json()).toMatchObject({ new_job_id: job_id });
  });

  it("finds nothing of a job that was deleted", async () => {
    const [job] = await outage(1);
    await journey.api.delete(job?.job_id ?? "");
    await expect
      .poll(async () => (await journey.api.fetch(`${LETTERS}/${job?.dlq_id}`)).status)
      .toBe(404);
  });

  it("sees in the figures what it came to", async () => {
    await outage(1);
    type Stats = { jobs: { failed: number }; dead_letters: { depth: number } };
    await expect
      .poll(() => get<Stats>("/api/admin/stats"), { timeout: 20_000 })
      .toMatchObject({ dead_letters: { depth: expect.any(Number) } });
    const { jobs, dead_letters } = await get<Stats>("/api/admin/stats");
    expect(jobs.failed).toBeGreaterThan(0);
    const { total } = await get<Letters>(LETTERS);
    expect(dead_letters.depth).toBe(total);
  });
});

const list = (query: string) => get<{ jobs: JobView[] }>(`/api/jobs${query}`);

describe("the list of jobs", () => {
  it("shows each as it is now, newest first, and finds those that failed", async () => {
    const [failed] = await outage(1);
    const { job_id: delayed } = await journey.api.submit({
      prompt: freshPrompt(),
      delay_seconds: 3_600,
    });
    await expect
      .poll(async () => (await list("")).jobs[0]?.job_id, { timeout: 10_000 })
      .toBe(delayed);
    await expect
      .poll(async () => (await list("?status=failed")).jobs[0]?.job_id, { timeout: 10_000 })
      .toBe(failed?.job_id);
    await journey.api.cancel(delayed);
    expect((await list("")).jobs[0]).toMatchObject({ job_id: delayed, status: "cancelled" });
  });
});
