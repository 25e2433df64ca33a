import { describe, expect, it } from "vitest";

import type { LogEvent } from "../../src/domain/job.ts";
import { webhookBody } from "../../src/domain/webhook-body.ts";
import { webhookEventOf } from "../../src/domain/webhook.ts";
import type { JobView } from "../../src/schema/job.ts";
import { ANSWER, WEBHOOK } from "./fixtures.ts";

const AT = "2026-11-22T12:00:08.164Z";

const VIEW: JobView = {
  job_id: "test-123",
  status: "active",
  submitted_at: "2026-11-22T12:00:00.000Z",
  model: "gpt-4o",
  provider: "openai",
  priority: "pro",
  priority_level: 3,
  progress: 10,
  step: "Starting LLM API call",
  attempts_made: 1,
  last_seq: 3,
  user: "ada",
  metadata: { page: "faq" },
  cost_usd: null,
  wasted_cost_usd: 0,
  batch_id: null,
  replay_of: null,
};

const RESULT = { content: "Rayleigh scattering.", ...ANSWER };

/** An event without its place in the log, which no body has. */
const EVENTS = {
  started: { type: "started", attempt: 2, model: "gpt-4o", provider: "openai" },
  progress: { type: "progress", progress: 80, step: "LLM response received" },
  completed: { type: "completed", result: ANSWER },
  failed: { type: "failed", error: "Unavailable", error_code: "provider_unavailable", attempts: 3 },
  cancelled: { type: "cancelled", reason: "Cancelled by the client" },
} as const;

function textOf(type: keyof typeof EVENTS, view: JobView, maxBodyBytes = 20 * 1024): string {
  const event: LogEvent = { ...EVENTS[type], seq: 7, at: AT };
  const name = webhookEventOf(event);
  if (name === null) throw new Error("not delivered");
  const { result, partial_output, ...job } = view;
  const text = {
    ...(result === undefined ? {} : { result }),
    ...(partial_output === undefined ? {} : { partial_output }),
  };
  return webhookBody(name, event, { job, text }, { ...WEBHOOK, maxBodyBytes });
}

function bodyOf(...given: Parameters<typeof textOf>): Record<string, unknown> {
  return JSON.parse(textOf(...given)) as Record<string, unknown>;
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

function completedWith(content: string): JobView {
  return { ...VIEW, status: "completed", result: { content, ...ANSWER } };
}

/** What every body has. */
function headOf(name: string, data: JobView) {
  const { job_id, submitted_at } = data;
  return { type: name, event: name, timestamp: AT, data, job_id, submitted_at };
}

describe("what is sent of a job that", () => {
  it("has started", () => {
    const { attempt, model, provider } = EVENTS.started;
    const told = { ...headOf("job.started", VIEW), attempt, model, provider, started_at: AT };
    expect(bodyOf("started", VIEW)).toEqual(told);
  });

  it("goes on", () => {
    const told = { ...headOf("job.progress", VIEW), progress: 80, step: "LLM response received" };
    expect(bodyOf("progress", VIEW)).toEqual(told);
  });

  it("has completed", () => {
    const view: JobView = { ...VIEW, status: "completed", completed_at: AT, result: RESULT };
    const told = { ...headOf("job.completed", view), result: RESULT, completed_at: AT };
    expect(bodyOf("completed", view)).toEqual(told);
  });

  it("has failed", () => {
    const { error, error_code, attempts } = EVENTS.failed;
    const view: JobView = { ...VIEW, status: "failed", error, error_code, failed_at: AT };
    const told = { ...headOf("job.failed", view), error, error_code, attempts, failed_at: AT };
    expect(bodyOf("failed", view)).toEqual(told);
  });

  it("was cancelled", () => {
    const view: JobView = { ...VIEW, status: "cancelled", partial_output: "Rayleigh " };
    const { reason } = EVENTS.cancelled;
    const told = { ...headOf("job.cancelled", view), reason, cancelled_at: AT };
    expect(bodyOf("cancelled", view)).toEqual(told);
  });
});

describe("the limit of a body", () => {
  const URL = "https://afterword.example.com/api/jobs/test-123";

  it.each([
    ["a letter of one byte", "x"],
    ["a letter of two bytes", "é"],
    ["a letter of three bytes", "ท"],
    ["a letter of four bytes", "🌈"],
    ["a line's end, which is two bytes in JSON", "\n"],
  ])("is counted in bytes as they are sent: %s", (_, letter) => {
    const view = completedWith(letter.repeat(100));
    const exact = bytesOf(textOf("completed", view));
    expect(bodyOf("completed", view, exact)).toMatchObject({ result: view.result });
    const beyond = bodyOf("completed", view, exact - 1);
    expect(beyond).toMatchObject({ result_url: URL, data: { result_url: URL } });
    expect(JSON.stringify(beyond)).not.toContain('"result"');
  });

  it("counts the text twice, for it is in the body twice", () => {
    const room = 20 * 1024 - bytesOf(textOf("completed", completedWith("")));
    const half = Math.floor(room / 2);
    expect(bytesOf(textOf("completed", completedWith("x".repeat(half))))).toBeLessThanOrEqual(
      20 * 1024,
    );
    expect(bodyOf("completed", completedWith("x".repeat(half)))).not.toHaveProperty("result_url");
    expect(bodyOf("completed", completedWith("x".repeat(half + 1)))).toHaveProperty("result_url");
  });

  it("beyond it leaves all of the job but its text, and the rest of the body as it is", () => {
    const view = completedWith("x".repeat(1_000_000));
    const { result: _, ...rest } = view;
    const data = { ...rest, result_url: URL };
    const told = { ...headOf("job.completed", view), data, result_url: URL, completed_at: AT };
    expect(bodyOf("completed", view)).toEqual(told);
  });

  it("beyond it links a cancelled job's text, as it is to be asked for", () => {
    const view: JobView = {
      ...VIEW,
      status: "cancelled",
      partial_output: "x".repeat(30_000),
    };
    const { partial_output: _, ...rest } = view;
    const data = { ...rest, result_url: `${URL}?include=partial_output` };
    const told = { ...headOf("job.cancelled", view), data };
    const { reason } = EVENTS.cancelled;
    expect(bodyOf("cancelled", view)).toEqual({ ...told, reason, cancelled_at: AT });
  });

  it("links nothing where there is no text that could give way", () => {
    const metadata = { note: "x".repeat(30_000) };
    for (const type of ["started", "progress", "failed"] as const) {
      const body = bodyOf(type, { ...VIEW, metadata });
      expect(body).toMatchObject({ data: { metadata } });
      expect(JSON.stringify(body)).not.toContain("result_url");
    }
  });

  it("is the webhook's own, as it was when the job was submitted", () => {
    const view = completedWith("x".repeat(100));
    expect(bodyOf("completed", view, 500)).toHaveProperty("result_url");
    expect(bodyOf("completed", view, 5_000)).toHaveProperty("result");
  });
});
