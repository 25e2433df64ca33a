import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { JobView } from "../../src/schema/job.ts";
import { answerOf, freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

async function run(job: { prompt: string } & Record<string, unknown>) {
  const { job_id } = await journey.api.submit(job);
  const view = await journey.api.ended(job_id);
  const calls = journey.provider.callsFor(job.prompt);
  return { view, calls, call: calls[0] ?? expect.fail("the provider was not called") };
}

describe("the provider", () => {
  it("sees the prompt as one user message, the defaults, and nothing else", async () => {
    const prompt = freshPrompt();
    const { call } = await run({ prompt, metadata: { secret: "m" }, user: "u" });
    expect(call.body).toEqual({
      model: "gpt-4o",
      messages: [{ role: "user", content: prompt }],
      max_completion_tokens: 4096,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(call.headers).toMatchObject({
      authorization: "Bearer test-key",
      "content-type": "application/json",
      "x-stainless-retry-count": "0",
    });
  });

  it("sees messages, tools and every parameter exactly as they were sent", async () => {
    const prompt = freshPrompt();
    const toolCall = {
      id: "call_1",
      type: "function",
      function: { name: "weather", arguments: '{"city": "Zürich"}' },
    };
    const messages = [
      { role: "system", content: "Be brief.", name: "house" },
      { role: "developer", content: [{ type: "text", text: "And kind." }] },
      {
        role: "user",
        content: [
          { type: "text", text: "What is this? é€😀\u0000\n" },
          { type: "image_url", image_url: { url: "https://pic.example/1.png", detail: "low" } },
          { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } },
        ],
      },
      { role: "assistant", content: null, tool_calls: [toolCall] },
      { role: "tool", content: "sunny", tool_call_id: "call_1" },
      { role: "assistant", content: "" },
      { role: "user", content: prompt, name: "Anna" },
    ];
    const parameters = { type: "object", properties: { city: { type: "string" } } };
    const params = {
      temperature: 0,
      top_p: 0.5,
      stop: "END",
      seed: -7,
      tools: [{ type: "function", function: { name: "weather", parameters, strict: true } }],
      tool_choice: { type: "function", function: { name: "weather" } },
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema: { type: "object" }, strict: true },
      },
    };
    const { job_id } = await journey.api.submit({ messages, params: { ...params, max_tokens: 9 } });
    await journey.api.ended(job_id);
    expect(journey.provider.callsFor(prompt)[0]?.body).toEqual({
      ...params,
      model: "gpt-4o",
      messages,
      max_completion_tokens: 9,
      stream: true,
      stream_options: { include_usage: true },
    });
  });
});

describe("a completed job", () => {
  it("holds the answer, its usage, its timings and its cost", async () => {
    const prompt = freshPrompt("[tokens=20 first=120]");
    const { view, call } = await run({ prompt });
    const prompt_tokens = view.result?.usage?.prompt_tokens ?? 0;
    expect(view).toEqual({
      job_id: expect.any(String),
      status: "completed",
      submitted_at: INSTANT,
      model: "gpt-4o",
      provider: "openai",
      priority: "default",
      priority_level: 5,
      progress: 100,
      step: "Complete",
      attempts_made: 1,
      started_at: INSTANT,
      completed_at: INSTANT,
      processing_time_ms: Date.parse(view.completed_at ?? "") - Date.parse(view.started_at ?? ""),
      result: {
        content: answerOf(call),
        model: "gpt-4o",
        finish_reason: "stop",
        tool_calls: [],
        usage: { prompt_tokens, completion_tokens: 20, total_tokens: prompt_tokens + 20 },
      },
      timings: {
        queue_ms: Date.parse(view.started_at ?? "") - Date.parse(view.submitted_at),
        ttft_ms: expect.any(Number),
        provider_ms: expect.any(Number),
      },
      cost_usd: (prompt_tokens * 2.5 + 20 * 10) / 1_000_000,
      wasted_cost_usd: 0,
      last_seq: expect.any(Number),
      user: null,
      metadata: {},
      batch_id: null,
      replay_of: null,
      retained_until: INSTANT,
    });
    expect(prompt_tokens).toBeGreaterThan(0);
    const { ttft_ms, provider_ms } = view.timings ?? {};
    expect(ttft_ms).toBeGreaterThanOrEqual(100);
    expect(provider_ms).toBeGreaterThanOrEqual(ttft_ms ?? Infinity);
    expect(view.processing_time_ms).toBeGreaterThanOrEqual(provider_ms ?? Infinity);
  });

  it("F24: holds tool calls, put together from their pieces", async () => {
    const prompt = freshPrompt();
    const asked = [
      { name: "weather", arguments: '{"city":"Zürich","note":"é€😀"}' },
      { name: "time", arguments: "{}" },
    ];
    journey.script(prompt, () => ({
      kind: "answer",
      toolCalls: asked,
      model: "gpt-4o-2024-08-06",
    }));
    const { view, call } = await run({ prompt });
    expect(view.result).toMatchObject({
      content: "",
      model: "gpt-4o-2024-08-06",
      finish_reason: "tool_calls",
      tool_calls: asked.map((called, index) => ({
        id: `call_${call.id}_${index}`,
        type: "function",
        function: called,
      })),
    });
  });

  it("F25: keeps the reason why the model stopped, and estimates a usage nobody reported", async () => {
    const prompt = freshPrompt();
    journey.script(prompt, () => ({ kind: "answer", finishReason: "length", usage: false }));
    const { view } = await run({ prompt });
    const estimated = { estimated: true, prompt_tokens: expect.toSatisfy((n) => n > 0) };
    expect(view.result).toMatchObject({ finish_reason: "length", usage: estimated });
    expect(view.cost_usd).toBeGreaterThan(0);
  });

  it("is the simulator's where no provider is configured, and says so", async () => {
    const models = ["simulator/standard", "claude-haiku-4-5"];
    const jobs = await Promise.all(
      models.map(async (model) => {
        const { job_id } = await journey.api.submit({ prompt: freshPrompt(), model });
        return journey.api.ended(job_id);
      }),
    );
    for (const [index, model] of models.entries()) {
      expect(jobs[index]).toMatchObject({ status: "completed", provider: "simulator", model });
      expect(jobs[index]?.result?.content).not.toBe("");
    }
  });
});

describe("a job on its way", () => {
  it("shows its progress, its text where asked, and when to ask again", async () => {
    const prompt = freshPrompt("[tokens=60 every=50]");
    const { job_id } = await journey.api.submit({ prompt });
    const path = `/api/jobs/${job_id}`;
    const active = await journey.api.readUntil(job_id, (job) => (job.partial_output ?? "") !== "", {
      query: "?include=partial_output",
    });
    expect(active).toMatchObject({
      status: "active",
      progress: 10,
      step: "Starting LLM API call",
      attempts_made: 1,
      started_at: INSTANT,
    });
    const response = await journey.api.fetch(path);
    expect(response.headers.get("retry-after")).toBe("1");
    expect((await response.json()) as JobView).not.toHaveProperty("partial_output");
    const done = await journey.api.ended(job_id);
    expect(done.result?.content.startsWith(active.partial_output ?? "?")).toBe(true);
    expect((await journey.api.fetch(path)).headers.get("retry-after")).toBeNull();
    expect(done).not.toHaveProperty("partial_output");
    expect(done).not.toHaveProperty("queue_position");
  });

  it("shows its place while it waits", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 3600 });
    const job = await journey.api.read(job_id);
    expect(job).toMatchObject({ status: "queued", progress: 0, step: null, attempts_made: 0 });
    expect(job).toMatchObject({ queue_position: expect.toSatisfy(Number.isInteger) });
    expect(job.estimated_wait).toBeGreaterThan(3590);
    expect(job.estimated_wait).toBeLessThanOrEqual(3600);
    expect(job).not.toHaveProperty("started_at");
    await journey.api.cancel(job_id);
  });

  it("refuses to include what it does not know", async () => {
    const response = await journey.api.fetch("/api/jobs/any?include=everything");
    expect(response.status).toBe(400);
  });

  it("waits as long as delay_seconds says, and not much longer", async () => {
    const prompt = freshPrompt();
    const { view, call } = await run({ prompt, delay_seconds: 2 });
    const dueAt = Date.parse(view.submitted_at) + 2_000;
    expect(call.startedAt).toBeGreaterThanOrEqual(dueAt);
    expect(call.startedAt).toBeLessThan(dueAt + 1_500);
    expect(view.timings?.queue_ms).toBeLessThan(1_500);
  });

  it("is deleted after its retention, and its id then answers 410", async () => {
    const prompt = freshPrompt();
    const key = "short-lived";
    await journey.api.submit({ prompt, retention_seconds: 1 }, key);
    const statusOf = async () => (await journey.api.fetch(`/api/jobs/${key}`)).status;
    await expect.poll(statusOf, { timeout: 10_000 }).toBe(410);
    expect((await journey.api.fetch(`/api/jobs/${key}/events`)).status).toBe(410);
    expect((await journey.api.send({ prompt, retention_seconds: 1 }, key)).status).toBe(410);
    expect(journey.provider.callsFor(prompt)).toHaveLength(1);
  });
});
