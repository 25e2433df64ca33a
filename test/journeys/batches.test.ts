import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { BatchReplayed } from "../../src/schema/batch.ts";
import type { Problem } from "../../src/schema/error.ts";
import { expectJson, expectProblem } from "../support/api.ts";
import { Batches } from "../support/batches.ts";
import { answerOf, freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
let batches: Batches;
beforeAll(async () => {
  journey = await startJourney();
  batches = new Batches(journey.api);
});
afterAll(() => journey.close());

function prompts(count: number, directive = ""): string[] {
  return Array.from({ length: count }, () => freshPrompt(directive));
}

async function refusal(body: object): Promise<Problem> {
  return expectProblem(await batches.send(body), 400, "invalid-request");
}

describe("a thousand items", () => {
  it("F41: are done, each by one call, though one of them is poison", async () => {
    const asked = prompts(1_000);
    asked[500] = freshPrompt("[status=400]");
    const { batch_id, job_count, job_ids } = await batches.submit({ prompts: asked });
    expect([job_count, new Set(job_ids).size]).toEqual([1_000, 1_000]);
    const following = batches.results(batch_id, "?follow=true");
    const view = await batches.ended(batch_id, 120_000);
    expect(view).toMatchObject({
      status: "completed",
      progress: 100,
      status_counts: { completed: 999, failed: 1, active: 0, waiting: 0, cancelled: 0 },
    });
    const results = await following;
    expect(results.map(({ index }) => index)).toEqual(asked.map((_, at) => at));
    expect(results.map(({ job_id }) => job_id)).toEqual(job_ids);
    expect(await batches.results(batch_id)).toEqual(results);
    for (const [at, { status, result, error_code }] of results.entries()) {
      const calls = journey.provider.callsFor(asked[at] ?? "");
      expect([at, calls.length]).toEqual([at, 1]);
      const [call] = calls;
      if (call === undefined) throw new Error("nobody called");
      const isPoison = at === 500;
      expect([status, error_code]).toEqual(
        isPoison ? ["failed", "provider_rejected"] : ["completed", undefined],
      );
      expect(result?.content).toBe(isPoison ? undefined : answerOf(call));
    }
    const costs = await Promise.all(
      job_ids.slice(0, 20).map(async (id) => (await journey.api.read(id)).cost_usd ?? 0),
    );
    // Their prompts and answers are of the same length.
    expect(view.cost_usd).toBeCloseTo((costs[0] ?? 0) * 999, 3);
  }, 150_000);
});

describe("a batch that is submitted twenty times at once", () => {
  it("is one batch, and one call for each of its items", async () => {
    const body = { prompts: prompts(30) };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => batches.send(body, "twenty-times")),
    );
    const told = await Promise.all(
      answers.map(async (answer) => (await answer.json()) as BatchReplayed),
    );
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([...Array.from({ length: 19 }, () => 200), 202]);
    const ids = new Set(told.map(({ job_ids }) => JSON.stringify(job_ids)));
    expect([ids.size, new Set(told.map(({ batch_id }) => batch_id))]).toEqual([
      1,
      new Set(["twenty-times"]),
    ]);
    expect((await batches.ended("twenty-times")).progress).toBe(100);
    for (const prompt of body.prompts) expect(journey.provider.callsFor(prompt)).toHaveLength(1);
  });
});

describe("a batch that is cancelled half-way", () => {
  it("stops what runs, begins nothing more, and keeps what is done", async () => {
    const quick = prompts(10);
    const slow = prompts(50, "[tokens=600 every=100]");
    const { batch_id } = await batches.submit({ prompts: [...quick, ...slow] });
    await batches.readUntil(
      batch_id,
      ({ status_counts: { completed, active } }) => completed === 10 && active > 0,
    );
    expect((await batches.cancel(batch_id)).status).toBe("cancelling");
    const view = await batches.ended(batch_id);
    expect(view).toMatchObject({
      status: "cancelled",
      progress: 17,
      completed_at: null,
      status_counts: { completed: 10, cancelled: 50 },
    });
    const results = await batches.results(batch_id);
    expect(results.filter(({ result }) => result !== undefined)).toHaveLength(10);
    expect(results.at(-1)).toMatchObject({
      status: "cancelled",
      error: "The batch was cancelled",
    });
    expect(await batches.cancel(batch_id)).toEqual(view);
    const again = await journey.api.fetch(`/api/batches/${batch_id}/retry-failed`, {
      method: "POST",
    });
    await expectProblem(again, 409, "batch-cancelled");
  });
});

describe("what failed in a batch", () => {
  it("is tried again in the same batch, as new jobs, and only that", async () => {
    const requests = [
      { custom_id: "good", prompt: freshPrompt() },
      { custom_id: "bad", prompt: freshPrompt("[status=400 x1]") },
      { prompt: freshPrompt("[status=400 x1]"), model: "gpt-4o-mini" },
    ];
    const { batch_id, job_ids } = await batches.submit({ requests, model: "gpt-4o" });
    const first = await batches.ended(batch_id);
    expect(first.status_counts).toMatchObject({ completed: 1, failed: 2 });
    const retried = await batches.retryFailed(batch_id);
    expect(retried).toMatchObject({ retried: 2, status: "active", is_complete: false });
    const view = await batches.ended(batch_id);
    expect([view.progress, (await batches.retryFailed(batch_id)).retried]).toEqual([100, 0]);
    const results = await batches.results(batch_id);
    expect(results.map(({ custom_id, status }) => [custom_id, status])).toEqual([
      ["good", "completed"],
      ["bad", "completed"],
      [null, "completed"],
    ]);
    const last = results.slice(2);
    expect(await batches.results(batch_id, "?after=1")).toEqual(last);
    expect(await batches.results(batch_id, "?follow=true&after=1")).toEqual(last);
    const jobs = await Promise.all(results.map(({ job_id }) => journey.api.read(job_id)));
    expect(jobs.map(({ replay_of, batch_index }) => [replay_of, batch_index])).toEqual([
      [null, 0],
      [job_ids[1], 1],
      [job_ids[2], 2],
    ]);
    expect(jobs.map(({ model }) => model)).toEqual(["gpt-4o", "gpt-4o", "gpt-4o-mini"]);
    // What failed was no letter any more for the operator to send a third time.
    const letters = await journey.api.fetch("/api/admin/dead-letter");
    expect(await expectJson<{ total: number }>(letters, 200)).toMatchObject({ total: 1 });
  });
});

describe("a batch that is wrong", () => {
  it("is refused whole, and says which items are", async () => {
    expect((await refusal({ prompts: [] })).error).toBe("prompts must be a non-empty array");
    expect((await refusal({})).error).toBe("prompts must be a non-empty array");
    expect((await refusal({ prompts: "x" })).error).toBe("prompts must be a non-empty array");
    const many = { prompts: prompts(1_001) };
    expect((await refusal(many)).error).toBe("Maximum 1000 prompts per batch");
    const both = await refusal({ prompts: ["x"], requests: [{ prompt: "x" }] });
    expect(both.error).toContain("exactly one of prompts and requests");
    const requests = [
      { prompt: "x", custom_id: "a" },
      { prompt: "x", model: "nobody/nothing" },
      { prompt: "x", metadata: { page: 1 } },
      { custom_id: "a" },
    ];
    const shapes = await refusal({ requests });
    expect(shapes.errors?.map(({ index }) => index)).toEqual([2, 3]);
    expect(shapes.errors?.[1]).toMatchObject({ pointer: "/requests/3/prompt" });
    const plans = await refusal({ requests: requests.slice(0, 2) });
    expect(plans.errors).toMatchObject([{ index: 1, pointer: "/requests/1/model" }]);
    const twice = await refusal({ requests: [requests[0], requests[0]] });
    expect(twice.errors).toMatchObject([{ index: 1, pointer: "/requests/1/custom_id" }]);
    const window = { prompt: "x", dedupe_window_seconds: 5 };
    const windows = await refusal({ requests: [requests[0], window] });
    expect(windows.errors).toMatchObject([{ index: 1 }]);
    // What all items share is wrong once.
    const shared = await refusal({ prompts: prompts(3), model: "nobody/nothing" });
    expect(shared.errors?.map(({ pointer }) => pointer)).toEqual(["/model"]);
    const url = { prompt: "x", webhook_url: "http://10.0.0.1/" };
    const refused = await batches.send({ requests: [{ prompt: "x" }, url] });
    const problem = await expectProblem(refused, 422, "webhook-url-rejected");
    expect(problem.errors).toMatchObject([{ index: 1, pointer: "/requests/1/webhook_url" }]);
  });
});
