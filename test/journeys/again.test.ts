import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { JobAccepted, JobReplayed } from "../../src/schema/job.ts";
import { expectJson, expectProblem } from "../support/api.ts";
import { refusedUpgrade } from "../support/follow-socket.ts";
import { answerOf, freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

/** A job that has failed for good. Tried again, it meets a provider that is well. */
async function failed(over: object = {}): Promise<{ id: string; prompt: string }> {
  const prompt = freshPrompt("[status=400 x1]");
  const { job_id: id } = await journey.api.submit({ prompt, ...over });
  expect(await journey.api.ended(id)).toMatchObject({ status: "failed" });
  return { id, prompt };
}

describe("trying a job again", () => {
  it("that failed is a new job that names it, and leaves it as it was", async () => {
    const own = { user: "ada", metadata: { page: "faq" }, params: { temperature: 0.5 } };
    const { id, prompt } = await failed(own);
    const before = await journey.api.read(id);
    const response = await journey.api.again(id);
    const location = response.headers.get("location");
    const { job_id, status } = await expectJson<JobAccepted>(response, 202);
    expect([status, location]).toEqual(["queued", `/api/jobs/${job_id}`]);
    expect(await journey.api.ended(job_id)).toMatchObject({
      status: "completed",
      replay_of: id,
      user: "ada",
      metadata: { page: "faq" },
    });
    const calls = journey.provider.callsFor(prompt);
    expect(calls).toHaveLength(2);
    expect(calls[1]?.body).toEqual(calls[0]?.body);
    expect(await journey.api.read(id)).toEqual(before);
  });

  it("twice, or ten times at once, is one new job and one call", async () => {
    const { id, prompt } = await failed();
    const answers = await Promise.all(Array.from({ length: 10 }, () => journey.api.again(id)));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    const replays = answers.filter(({ status }) => status === 200);
    expect(replays).toHaveLength(9);
    for (const { headers } of replays) expect(headers.get("idempotent-replayed")).toBe("true");
    const bodies = await Promise.all(answers.map((answer) => answer.json()));
    const ids = new Set((bodies as JobReplayed[]).map(({ job_id }) => job_id));
    expect(ids.size).toBe(1);
    const [job_id = ""] = ids;
    await journey.api.ended(job_id);
    const later = await expectJson<JobReplayed>(await journey.api.again(id), 200);
    expect(later).toMatchObject({ job_id, status: "already_submitted" });
    expect(journey.provider.callsFor(prompt)).toHaveLength(2);
  });

  it("that was cancelled before it was due does not wait a second time", async () => {
    const prompt = freshPrompt();
    const { job_id } = await journey.api.submit({ prompt, delay_seconds: 3_600 });
    await journey.api.cancel(job_id);
    const again = await journey.api.retry(job_id);
    const ended = await journey.api.ended(again.job_id);
    expect(ended).toMatchObject({ status: "completed", replay_of: job_id });
    expect(ended.result?.content).toBe(answerOf(journey.provider.callsFor(prompt)[0] ?? { id: 0 }));
  });

  it("whose repetition was deleted is 409, and says which that was", async () => {
    const { id } = await failed();
    const { job_id } = await journey.api.retry(id);
    await journey.api.delete(job_id);
    const { detail } = await expectProblem(await journey.api.again(id), 409, "job-not-retryable");
    expect(detail).toContain(job_id);
  });

  it("that failed again is a third job, which names the second", async () => {
    const prompt = freshPrompt("[status=400 x2]");
    const { job_id: first } = await journey.api.submit({ prompt });
    await journey.api.ended(first);
    const { job_id: second } = await journey.api.retry(first);
    await journey.api.ended(second);
    const { job_id: third } = await journey.api.retry(second);
    expect(await journey.api.ended(third)).toMatchObject({
      status: "completed",
      replay_of: second,
    });
    expect(new Set([first, second, third]).size).toBe(3);
  });

  it("is refused while it has not ended, and once it is completed", async () => {
    const { job_id: queued } = await journey.api.submit({ prompt: "x", delay_seconds: 3_600 });
    await expectProblem(await journey.api.again(queued), 409, "job-not-retryable");
    await journey.api.cancel(queued);
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=20 every=50]") });
    await journey.api.readUntil(job_id, ({ status }) => status === "active");
    await expectProblem(await journey.api.again(job_id), 409, "job-not-retryable");
    await journey.api.ended(job_id);
    await expectProblem(await journey.api.again(job_id), 409, "job-not-retryable");
  });

  it("is refused where it was never submitted, and where it was deleted", async () => {
    await expectProblem(await journey.api.again("never-submitted"), 404, "job-not-found");
    const { id } = await failed();
    await journey.api.delete(id);
    await expectProblem(await journey.api.again(id), 410, "job-gone");
  });

  it("leaves the new job when the old one is deleted", async () => {
    const { id } = await failed();
    const { job_id } = await journey.api.retry(id);
    await journey.api.delete(id);
    expect(await journey.api.ended(job_id)).toMatchObject({ status: "completed", replay_of: id });
  });
});

describe("deleting a job", () => {
  it("leaves its id gone to every question, and its key to every submission", async () => {
    const job = { prompt: freshPrompt() };
    await journey.api.submit(job, "deleted");
    await journey.api.ended("deleted");
    await journey.api.delete("deleted");
    const questions: [string, string][] = [
      ["GET", ""],
      ["GET", "/events"],
      ["GET", "/attempts"],
      ["POST", "/cancel"],
      ["POST", "/retry"],
      ["DELETE", ""],
    ];
    for (const [method, path] of questions) {
      const answer = await journey.api.fetch(`/api/jobs/deleted${path}`, { method });
      await expectProblem(answer, 410, "job-gone");
    }
    expect(await refusedUpgrade(journey.api.url, "/ws/jobs/deleted")).toBe(410);
    await expectProblem(await journey.api.send(job, "deleted"), 410, "job-gone");
    await expectProblem(await journey.api.send({ prompt: "x" }, "deleted"), 410, "job-gone");
    expect(journey.provider.callsFor(job.prompt)).toHaveLength(1);
  });

  it("that is not yet due makes no call", async () => {
    const prompt = freshPrompt();
    const { job_id } = await journey.api.submit({ prompt, delay_seconds: 1 });
    await journey.api.delete(job_id);
    // A job that falls due later shows that the first one's time has passed.
    const { job_id: later } = await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 2 });
    await journey.api.ended(later);
    expect(journey.provider.callsFor(prompt)).toEqual([]);
  });

  it("that was never submitted is refused", async () => {
    for (const id of ["never-submitted", "not+an+id"]) {
      const answer = await journey.api.fetch(`/api/jobs/${id}`, { method: "DELETE" });
      await expectProblem(answer, 404, "job-not-found");
    }
  });
});

describe("the calls of a job", () => {
  it("are listed with the model of each, a refused one at no cost", async () => {
    const prompt = freshPrompt("[status=401 x1][tokens=7]");
    const job = { prompt, fallback_models: ["gpt-4o-mini"] };
    const { job_id } = await journey.api.submit(job);
    const { cost_usd, result } = await journey.api.ended(job_id);
    expect(await journey.api.attempts(job_id)).toMatchObject([
      {
        attempt: 1,
        model: "gpt-4o",
        provider: "openai",
        status: "failed",
        error_code: "provider_rejected",
        usage: null,
        cost_usd: 0,
      },
      { attempt: 2, model: "gpt-4o-mini", status: "completed", usage: result?.usage, cost_usd },
    ]);
    expect(cost_usd).toBeGreaterThan(0);
  });

  it("tell of a broken answer what it is likely to have cost, apart from what the good one did", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[cut=3 every=30 x1]") });
    const ended = await journey.api.ended(job_id);
    const [broken, good, ...others] = await journey.api.attempts(job_id);
    expect(broken).toMatchObject({ status: "failed", usage: { estimated: true } });
    expect(good).toMatchObject({ status: "completed", cost_usd: ended.cost_usd });
    expect(good?.usage).not.toHaveProperty("estimated");
    expect(others).toEqual([]);
    expect(ended.wasted_cost_usd).toBe(broken?.cost_usd);
    expect(ended.wasted_cost_usd).toBeGreaterThan(0);
  });

  it("are none of a job that waits, and unknown of a job that is", async () => {
    const { job_id } = await journey.api.submit({ prompt: "x", delay_seconds: 3_600 });
    expect(await journey.api.attempts(job_id)).toEqual([]);
    await journey.api.cancel(job_id);
    const unknown = await journey.api.fetch("/api/jobs/never-submitted/attempts");
    await expectProblem(unknown, 404, "job-not-found");
  });
});
