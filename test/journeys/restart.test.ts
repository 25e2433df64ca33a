import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";

import type { JobView } from "../../src/schema/job.ts";
import { expectWholeLog, textOf } from "../support/api.ts";
import {
  answerOf,
  freshPrompt,
  startProcessJourney,
  type ProcessJourney,
} from "../support/journey.ts";
import { seeded } from "../support/random.ts";
import { seedOfRun } from "../support/run-seed.ts";

const JOBS = 40;
const KILLS = 4;
const MAX_ATTEMPTS = 4;
/** How long it lives from one kill to the next, and over what time the jobs are submitted. */
const LIFE_MS = { least: 500, most: 3_000 };
const SUBMITTED_WITHIN_MS = 14_000;

let journey: ProcessJourney;
beforeAll(async () => {
  journey = await startProcessJourney({
    LEASE_SECONDS: "3",
    UNWATCHED_JOIN_MS: "200",
    // As many as the kills can cause: it is not these jobs that kill their consumers.
    MAX_STALLS: String(KILLS),
  });
});
afterAll(() => journey.close());

type Job = {
  key: string;
  tokens: number;
  body: { prompt: string; max_attempts: number; delay_seconds?: number };
  cancelAfterMs: number | null;
};

function randomJob(random: () => number, index: number): Job {
  const tokens = 5 + Math.floor(random() * 60);
  const fault = ["", "", "", "[cut=3 every=20 x1]", "[status=500 x1]"][index % 5];
  const prompt = freshPrompt(`${fault}[tokens=${tokens} every=${Math.floor(random() * 50)}]`);
  const delay_seconds = index % 4 === 0 ? Math.floor(random() * 4) : 0;
  return {
    key: `restart-${index}`,
    tokens,
    body: { prompt, max_attempts: MAX_ATTEMPTS, ...(delay_seconds > 0 ? { delay_seconds } : {}) },
    cancelAfterMs: index % 8 === 7 ? random() * 2_000 : null,
  };
}

/** Asks until it is answered: the product may die before the request, in it, or before the answer. */
async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      // Fetch's own error for a lost connection; a wrong answer is another and fails the test.
      if (!(error instanceof TypeError)) throw error;
      await sleep(100);
    }
  }
}

/** Submits a job as a client would that insists, and returns every status it was answered. */
async function submit(job: Job): Promise<number> {
  return untilAnswered(async () => {
    const response = await journey.api.send(job.body, job.key);
    expect(await response.json()).toMatchObject({ job_id: job.key });
    return response.status;
  });
}

async function killAndRestart(random: () => number): Promise<void> {
  for (let kills = 0; kills < KILLS; kills++) {
    await sleep(LIFE_MS.least + random() * (LIFE_MS.most - LIFE_MS.least));
    await journey.product.kill();
    await journey.product.start();
  }
}

function logs(): Promise<JobEventLog[]> {
  return Promise.all(
    Array.from({ length: JOBS }, (_, index) => journey.api.log(`restart-${index}`)),
  );
}
type JobEventLog = Awaited<ReturnType<typeof journey.api.log>>;

function check(job: Job, view: JobView, log: JobEventLog): void {
  expectWholeLog(log);
  expect(log.at(-1)?.type).toBe(view.status);
  const calls = journey.provider.callsFor(job.body.prompt);
  const attempts = log.filter(({ type }) => type === "started").length;
  expect(view.attempts_made).toBe(attempts);
  expect(attempts).toBeLessThanOrEqual(MAX_ATTEMPTS);
  expect(calls.length).toBeLessThanOrEqual(attempts);
  // A cancellation may overtake an attempt on its way to the provider; it is aborted within 2 s.
  const graceMs = view.status === "cancelled" ? 2_000 : 0;
  const endedAt = Date.parse(log.at(-1)?.at ?? "");
  for (const call of calls) expect(call.startedAt).toBeLessThanOrEqual(endedAt + graceMs);
  if (view.status === "completed") {
    expect(calls.map((call) => answerOf(call, job.tokens))).toContain(view.result?.content);
    expect(textOf(log, attempts)).toBe(view.result?.content);
  } else if (view.status === "failed") {
    expect(["stalled", "provider_unavailable"]).toContain(view.error_code);
    expect(attempts).toBe(MAX_ATTEMPTS);
  }
}

/** A job as its end left it. What the stopped call of a cancelled one came to may be told a moment later. */
function asEnded(view: JobView): Partial<JobView> {
  if (view.status !== "cancelled") return view;
  const { usage: _, wasted_cost_usd: __, ...ended } = view;
  return ended;
}

it("F1, F8: whatever is accepted ends exactly once, though the product is killed again and again", async () => {
  const random = seeded(seedOfRun());
  const jobs = Array.from({ length: JOBS }, (_, index) => randomJob(random, index));
  const submitAt = jobs.map(() => random() * SUBMITTED_WITHIN_MS);
  const killing = killAndRestart(random);
  const answers = await Promise.all(
    jobs.map(async (job, index) => {
      await sleep(submitAt[index]);
      const status = await submit(job);
      if (job.cancelAfterMs === null) return { status, cancelled: null };
      await sleep(job.cancelAfterMs);
      return { status, cancelled: await untilAnswered(() => journey.api.cancel(job.key)) };
    }),
  );
  await killing;

  // A 202 that was lost on the way shows as a 200 to the second try; nothing else is possible.
  for (const { status } of answers) expect([200, 202]).toContain(status);
  const views = await Promise.all(jobs.map(({ key }) => journey.api.ended(key, 90_000)));
  const before = await logs();
  for (const [index, job] of jobs.entries()) {
    const view = views[index] ?? expect.fail("a job is missing");
    check(job, view, before[index] ?? []);
    const { cancelled = null } = answers[index] ?? {};
    if (cancelled !== null) expect(view.status).toBe(cancelled.status);
  }
  expect(views.filter(({ status }) => status === "completed").length).toBeGreaterThan(JOBS / 2);
  const callIds = journey.provider.calls.map(({ id }) => id);
  expect(new Set(callIds).size).toBe(callIds.length);

  // Once more, now that nothing is left to do: nothing may change.
  const calls = journey.provider.calls.length;
  await journey.product.kill();
  await journey.product.start();
  expect(await logs()).toEqual(before);
  const after = await Promise.all(jobs.map(({ key }) => journey.api.read(key)));
  expect(after.map(asEnded)).toEqual(views.map(asEnded));
  expect(await Promise.all(jobs.map((job) => submit(job)))).toEqual(jobs.map(() => 200));
  expect(journey.provider.calls).toHaveLength(calls);
}, 150_000);

it("invariant 3: a job killed at an approval and in a step goes on there, and calls for nothing twice", async () => {
  const first = freshPrompt();
  const last = freshPrompt("[tokens=60 every=50 x1]");
  const { job_id: id } = await journey.api.submit({
    steps: [
      { name: "draft", type: "llm", prompt: first },
      { name: "approve", type: "approval", message: "{{steps.draft.output}}" },
      { name: "final", type: "llm", prompt: last },
      { name: "join", type: "template", template: "{{steps.draft.output}}{{steps.final.output}}" },
    ],
  });
  const { waiting_for: asked } = await journey.api.readUntil(id, (job) => "waiting_for" in job);
  await journey.product.kill();
  await journey.product.start();
  expect((await journey.api.read(id)).waiting_for).toEqual(asked);
  const answer = { request_id: asked?.request_id, approved: true };
  await journey.api.post(`/api/jobs/${id}/input`, answer);
  await journey.api.firstEvent(id, (event) => event.type === "delta" && event.attempt === 2);
  await journey.product.kill();
  await journey.product.start();
  const job = await journey.api.ended(id, 60_000);
  expect(job).toMatchObject({ status: "completed", attempts_made: 4 });
  const [draft, ...others] = journey.provider.callsFor(first);
  expect(others).toEqual([]);
  const final = journey.provider.callsFor(last).at(-1);
  expect(asked?.message).toBe(answerOf(draft ?? { id: 0 }));
  expect(job.result?.content).toBe(`${asked?.message}${answerOf(final ?? { id: 0 })}`);
  expectWholeLog(await journey.api.log(id));
}, 120_000);
