import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";

import type { Problem } from "../../src/schema/error.ts";
import type { Connected, JobEvent } from "../../src/schema/event.ts";
import type { AttemptView, JobAccepted, JobReplayed, JobView } from "../../src/schema/job.ts";

/** One frame of an event stream, as it was sent. */
export type SseFrame = { id?: string; data?: string; retry?: string; comment?: string };

/** What every problem answer holds. */
export type Refused = { status: number; headers: Headers; problem: Problem };

const TERMINAL = new Set(["completed", "failed", "cancelled"]);

export function isTerminal({ type }: { type: string }): boolean {
  return TERMINAL.has(type);
}

/** A user of the HTTP face who expects what the contract says, and fails the test where it is not so. */
export class Api {
  readonly url: string;
  readonly #headers: Record<string, string>;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.url = url;
    this.#headers = headers;
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...this.#headers, ...Object.fromEntries(new Headers(init.headers)) };
    return fetch(`${this.url}${path}`, { ...init, headers });
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return this.fetch(path, {
      method: "POST",
      body: text,
      headers: { "content-type": "application/json", ...headers },
    });
  }

  /** A submission as it is answered, whatever the answer. */
  send(job: unknown, key?: string): Promise<Response> {
    return this.post("/api/jobs", job, key === undefined ? {} : { "idempotency-key": key });
  }

  async submit(job: object, key?: string): Promise<JobAccepted> {
    return expectJson<JobAccepted>(await this.send(job, key), 202);
  }

  async replay(job: object, key: string): Promise<JobReplayed> {
    return expectJson<JobReplayed>(await this.send(job, key), 200);
  }

  async read(id: string, query = ""): Promise<JobView> {
    return expectJson<JobView>(await this.fetch(`/api/jobs/${id}${query}`), 200);
  }

  async cancel(id: string): Promise<JobView> {
    return expectJson<JobView>(await this.fetch(`/api/jobs/${id}/cancel`, { method: "POST" }), 200);
  }

  /** Tries a job again, whatever the answer. */
  again(id: string): Promise<Response> {
    return this.fetch(`/api/jobs/${id}/retry`, { method: "POST" });
  }

  async retry(id: string): Promise<JobAccepted> {
    return expectJson<JobAccepted>(await this.again(id), 202);
  }

  async delete(id: string): Promise<void> {
    const response = await this.fetch(`/api/jobs/${id}`, { method: "DELETE" });
    expect([response.status, await response.text()]).toEqual([204, ""]);
  }

  async attempts(id: string): Promise<AttemptView[]> {
    const answer = await this.fetch(`/api/jobs/${id}/attempts`);
    const listed = await expectJson<{ job_id: string; attempts: AttemptView[] }>(answer, 200);
    expect(listed.job_id).toBe(id);
    return listed.attempts;
  }

  /** Asks until the job is as wanted. Unlike following its events, this does not count as watching. */
  async readUntil(
    id: string,
    wanted: (job: JobView) => boolean,
    { query = "", timeout = 20_000 } = {},
  ): Promise<JobView> {
    const deadline = Date.now() + timeout;
    for (;;) {
      const job = await this.read(id, query);
      if (wanted(job)) return job;
      if (Date.now() > deadline) throw new Error(`job ${id} is still ${JSON.stringify(job)}`);
      await sleep(50);
    }
  }

  /** The job once it has ended, without anybody watching it. */
  ended(id: string, timeout = 20_000): Promise<JobView> {
    return this.readUntil(id, ({ status }) => TERMINAL.has(status), { timeout });
  }

  /** The events after `after`, until the server ends the stream. */
  async log(id: string, after = 0): Promise<JobEvent[]> {
    const events: JobEvent[] = [];
    for await (const event of this.follow(id, after)) events.push(event);
    return events;
  }

  /** The events after `after` as they come; leaving the loop closes the connection. */
  async *follow(id: string, after = 0): AsyncGenerator<JobEvent, void> {
    const response = await this.fetch(`/api/jobs/${id}/events?after=${after}`);
    if (response.status === 204) return;
    expect(response.status).toBe(200);
    for await (const { id: seq, data } of sseFrames(response)) {
      if (seq !== undefined && data !== undefined) yield JSON.parse(data) as JobEvent;
    }
  }

  /** The first event for which the predicate holds. */
  async firstEvent(id: string, wanted: (event: JobEvent) => boolean): Promise<JobEvent> {
    for await (const event of this.follow(id)) if (wanted(event)) return event;
    throw new Error(`job ${id} ended without the event`);
  }
}

export async function expectJson<T>(response: Response, status: number): Promise<T> {
  const text = await response.text();
  expect([response.status, response.status === status ? "" : text]).toEqual([status, ""]);
  expect(response.headers.get("content-type")).toMatch(/^application\/json\b/);
  return JSON.parse(text) as T;
}

/** The refusal, after checking what all refusals have in common. */
export async function expectProblem(
  response: Response,
  status: number,
  code: Problem["code"],
): Promise<Problem> {
  const text = await response.text();
  expect([response.status, response.status === status ? "" : text]).toEqual([status, ""]);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect(response.headers.get("cache-control")).toBe("private, no-store");
  const problem = JSON.parse(text) as Problem;
  expect(problem).toMatchObject({ status, code, type: expect.any(String) });
  expect(problem.title).not.toBe("");
  expect(problem.error).toBe(problem.detail);
  expect(problem.request_id).toBe(response.headers.get("x-request-id"));
  return problem;
}

/** The frames of an event stream as they come. */
export async function* sseFrames(response: Response): AsyncGenerator<SseFrame, void> {
  if (response.body === null) return;
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    let end: number;
    while ((end = text.indexOf("\n\n")) >= 0) {
      yield frameOf(text.slice(0, end));
      text = text.slice(end + 2);
    }
  }
}

export async function allFrames(response: Response): Promise<SseFrame[]> {
  const frames: SseFrame[] = [];
  for await (const frame of sseFrames(response)) frames.push(frame);
  return frames;
}

function frameOf(block: string): SseFrame {
  const frame: SseFrame = {};
  for (const line of block.split("\n")) {
    const [, name = "", value = ""] = /^([^:]*): ?(.*)$/s.exec(line) ?? [];
    if (name === "") frame.comment = value;
    else if (name === "id" || name === "data" || name === "retry") frame[name] = value;
    else throw new Error(`an event stream must not have the line ${line.slice(0, 80)}`);
  }
  return frame;
}

export function connectedOf(frame: SseFrame | undefined): Connected {
  return JSON.parse(frame?.data ?? "null") as Connected;
}

/** Invariants 1 and 4: numbered from 1 without gaps, one terminal event, at the end. */
export function expectWholeLog(events: JobEvent[]): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.filter(isTerminal)).toHaveLength(1);
  expect(events.filter(isTerminal)).toEqual(events.slice(-1));
}

/** The text of one attempt, or of all. */
export function textOf(events: JobEvent[], attempt?: number): string {
  return events
    .map((event) =>
      event.type === "delta" && (attempt ?? event.attempt) === event.attempt ? event.delta : "",
    )
    .join("");
}
