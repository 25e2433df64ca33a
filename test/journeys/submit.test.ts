import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { expectJson, expectProblem } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function accepted(id: unknown, extra: object = {}) {
  return {
    job_id: id,
    status: "queued",
    poll_url: `/api/jobs/${String(id)}`,
    websocket_url: `/ws/jobs/${String(id)}`,
    events_url: expect.stringMatching(/\/events\?token=[\w.-]+$/),
    subscribe_token: expect.stringMatching(/^[\w-]{8}\.[\w-]+\.[\w-]{43}$/),
    cancel_url: `/api/jobs/${String(id)}/cancel`,
    priority: "default",
    priority_level: 5,
    estimated_wait: expect.toSatisfy(Number.isInteger),
    submitted_at: expect.stringMatching(INSTANT),
    ...extra,
  };
}

describe("an accepted submission", () => {
  it("answers 202 with exactly the contract's body and headers", async () => {
    const response = await journey.api.send({ prompt: freshPrompt() }, "test-123");
    const headers = Object.fromEntries(response.headers);
    expect(await expectJson(response, 202)).toEqual(accepted("test-123"));
    expect(headers).toMatchObject({
      "content-type": "application/json",
      location: "/api/jobs/test-123",
      "retry-after": "1",
      "x-content-type-options": "nosniff",
      "cache-control": "private, no-store",
      "access-control-allow-origin": "*",
      "x-auth-mode": "none",
      "x-request-id": expect.stringMatching(/^req_[\w-]{16,}$/),
    });
    expect(headers).not.toHaveProperty("access-control-allow-credentials");
    expect(headers).not.toHaveProperty("idempotent-replayed");
    expect((await journey.api.read("test-123")).job_id).toBe("test-123");
  });

  it("fills in every default", async () => {
    const prompt = freshPrompt();
    const { job_id } = await journey.api.submit({ prompt });
    const job = await journey.api.ended(job_id);
    expect(job).toMatchObject({
      model: "gpt-4o",
      provider: "openai",
      priority: "default",
      priority_level: 5,
      user: null,
      metadata: {},
      batch_id: null,
      replay_of: null,
    });
    const keptMs = Date.parse(job.retained_until ?? "") - Date.parse(job.completed_at ?? "");
    expect(keptMs).toBe(86_400_000);
    expect(journey.provider.callsFor(prompt)[0]?.body.max_completion_tokens).toBe(4096);
  });

  it("takes every field of the contract", async () => {
    const prompt = freshPrompt();
    const { job_id } = await journey.api.submit({
      prompt,
      model: "openai/gpt-4.1-mini",
      params: { max_tokens: 7, temperature: 0.5, top_p: 0.9, stop: ["END"], seed: 42 },
      fallback_models: ["gpt-4o-mini"],
      priority: 2,
      profile: "interactive",
      max_attempts: 4,
      timeout_ms: 30_000,
      delay_seconds: 1,
      ttl_seconds: 60,
      user: "user-7",
      metadata: { page: "faq", empty: "" },
      retention_seconds: 120,
    });
    const queued = await journey.api.read(job_id);
    expect(queued).toMatchObject({ status: "queued", priority_level: 2, estimated_wait: 1 });
    expect(Date.parse(queued.run_at ?? "")).toBe(Date.parse(queued.submitted_at) + 1_000);
    const job = await journey.api.ended(job_id);
    expect(job).toMatchObject({
      status: "completed",
      model: "openai/gpt-4.1-mini",
      provider: "openai",
      user: "user-7",
      metadata: { page: "faq", empty: "" },
    });
    const keptMs = Date.parse(job.retained_until ?? "") - Date.parse(job.completed_at ?? "");
    expect(keptMs).toBe(120_000);
    expect(journey.provider.callsFor(prompt)[0]?.body).toMatchObject({
      model: "gpt-4.1-mini",
      max_completion_tokens: 7,
      temperature: 0.5,
      top_p: 0.9,
      stop: ["END"],
      seed: 42,
    });
  });

  it("takes a content type with a charset, and a byte order mark", async () => {
    const body = `\u{feff}${JSON.stringify({ prompt: freshPrompt() })}`;
    const type = { "content-type": "Application/JSON; charset=utf-8" };
    expect((await journey.api.post("/api/jobs", body, type)).status).toBe(202);
  });

  it.each([
    ["plain ASCII", "x"],
    ["one character that makes the engine store all the others in two bytes", "€"],
  ])("takes a body of exactly 1 MiB of %s", async (_, filler) => {
    const prompt = freshPrompt();
    const frame = JSON.stringify({ prompt: "", user: prompt });
    const room = 1_048_576 - Buffer.byteLength(frame) - Buffer.byteLength(filler);
    const long = `${filler}${"y".repeat(room)}`;
    const body = JSON.stringify({ prompt: long, user: prompt });
    expect(Buffer.byteLength(body)).toBe(1_048_576);
    const { job_id } = await expectJson<{ job_id: string }>(await journey.api.send(body), 202);
    expect(await journey.api.ended(job_id)).toMatchObject({ status: "completed" });
    expect(journey.provider.callsFor(long)).toHaveLength(1);
  });
});

describe("a job id", () => {
  it.each([
    ["test_key-9", "test_key-9"],
    ["k".repeat(64), "k".repeat(64)],
    ["k".repeat(65), expect.stringMatching(/^job_[\w-]{43}$/)],
    ["order:42/~7", expect.stringMatching(/^job_[\w-]{43}$/)],
    ["!".repeat(255), expect.stringMatching(/^job_[\w-]{43}$/)],
  ])("is the key where that can be an id, and else derived from it: %s", async (key, id) => {
    const job = { prompt: freshPrompt() };
    const { job_id } = await journey.api.submit(job, key);
    expect(job_id).toEqual(id);
    expect((await journey.api.replay(job, key)).job_id).toBe(job_id);
    expect((await journey.api.read(job_id)).job_id).toBe(job_id);
  });

  it("holds at least 128 random bits where there is no key", async () => {
    const job = { prompt: freshPrompt() };
    const answers = await Promise.all([1, 2, 3].map(() => journey.api.submit(job)));
    const ids = new Set(answers.map(({ job_id }) => job_id));
    expect(ids.size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^job_[\w-]{22,}$/);
  });

  it("made without a key is not given away to whoever sends it as a key", async () => {
    const job = { prompt: freshPrompt() };
    const { job_id } = await journey.api.submit(job);
    await expectProblem(await journey.api.send(job, job_id), 422, "idempotency-key-reused");
  });
});

function untilStatus(id: string, status: string) {
  return journey.api.readUntil(id, (job) => job.status === status);
}

describe("the same key again (invariant 6)", () => {
  const states: [string, string, object, (id: string) => Promise<unknown>][] = [
    ["queued", "", { delay_seconds: 60 }, async () => {}],
    ["active", "[hang]", {}, (id) => untilStatus(id, "active")],
    ["completed", "", {}, (id) => untilStatus(id, "completed")],
    ["failed", "[status=400]", {}, (id) => untilStatus(id, "failed")],
    ["cancelled", "", { delay_seconds: 60 }, (id) => journey.api.cancel(id)],
  ];

  it.each(states)("answers 200 for the same job while it is %s", async (state, ask, job, reach) => {
    const prompt = freshPrompt(ask);
    const key = `replayed-${state}`;
    const first = await journey.api.submit({ prompt, ...job }, key);
    await reach(key);
    const before = await journey.api.read(key);
    const response = await journey.api.send({ prompt, ...job }, key);
    expect(response.headers.get("idempotent-replayed")).toBe("true");
    expect(await expectJson(response, 200)).toEqual(
      accepted(key, {
        status: "already_submitted",
        message: "Duplicate submission detected",
        submitted_at: first.submitted_at,
      }),
    );
    expect(before.status).toBe(state);
    const calls = state === "queued" || state === "cancelled" ? 0 : 1;
    expect(journey.provider.callsFor(prompt)).toHaveLength(calls);
    if (state === "active") await journey.api.cancel(key);
  });

  it.each([
    ["another prompt", { prompt: "Another" }],
    ["another model", { model: "gpt-4o-mini" }],
    ["one more field", { user: "someone" }],
    ["other parameters", { params: { max_tokens: 5 } }],
  ])("answers 422 for %s, and leaves the job as it is", async (what, change) => {
    const key = `reused-${what.replaceAll(" ", "-")}`;
    const job = { prompt: freshPrompt() };
    await journey.api.submit(job, key);
    const refused = await journey.api.send({ ...job, ...change }, key);
    await expectProblem(refused, 422, "idempotency-key-reused");
    expect(await journey.api.ended(key)).toMatchObject({ status: "completed", user: null });
    expect(journey.provider.callsFor(job.prompt)).toHaveLength(1);
  });

  it("does not care in what order the JSON says the same", async () => {
    const prompt = freshPrompt();
    const one = `{"prompt":"${prompt}","metadata":{"a":"1","b":"2"},"params":{"seed":1,"top_p":1}}`;
    const two = `{"params":{"top_p":1.0,"seed":1}, "metadata":{"b":"2","a":"1"},"prompt":"${prompt}"}`;
    expect((await journey.api.send(one, "reordered")).status).toBe(202);
    expect((await journey.api.send(two, "reordered")).status).toBe(200);
  });

  it("F38: makes one job of fifty submissions at once: one 202, one call to the model", async () => {
    const job = { prompt: freshPrompt() };
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const response = await journey.api.send(job, "fifty");
        return { status: response.status, body: (await response.json()) as { job_id: string } };
      }),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(1);
    expect(statuses.filter((status) => status === 200)).toHaveLength(49);
    expect(new Set(answers.map(({ body }) => body.job_id))).toEqual(new Set(["fifty"]));
    expect(await journey.api.ended("fifty")).toMatchObject({ status: "completed" });
    expect(journey.provider.callsFor(job.prompt)).toHaveLength(1);
  });

  it("F38: makes one job of fifty different submissions at once, and refuses the rest", async () => {
    const prompts = Array.from({ length: 50 }, () => freshPrompt());
    const answers = await Promise.all(
      prompts.map((prompt) => journey.api.send({ prompt }, "fifty-different")),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(1);
    expect(statuses.filter((status) => status === 422)).toHaveLength(49);
    await journey.api.ended("fifty-different");
    expect(prompts.flatMap((prompt) => journey.provider.callsFor(prompt))).toHaveLength(1);
  });
});
