import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Command } from "../../src/domain/command.ts";
import type { Job, JobSpec } from "../../src/domain/job.ts";
import { accept, transition } from "../../src/domain/transition.ts";
import { logEvent, logFault } from "../../src/log.ts";
import {
  ANSWER,
  CLAUDE,
  COMMANDS,
  COST,
  GPT,
  NOW,
  REFUSED,
  REJECTED,
  SECOND,
  specOf,
  taken,
  type Taken,
} from "./fixtures.ts";

type Line = Record<string, unknown>;

const lines: string[] = [];

beforeEach(() => {
  lines.length = 0;
  for (const level of ["log", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(line));
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Lives a job through the commands, a second apart, logging as its object does. */
function log(over: Partial<JobSpec>, ...commands: Command[]): Line[] {
  let job: Job = logged(taken(accept(specOf(over))));
  for (const [index, command] of commands.entries()) {
    job = logged(taken(transition(job, command, NOW + (index + 1) * SECOND)));
  }
  return lines.map((line) => JSON.parse(line) as Line);
}

function logged({ job, events }: Taken): Job {
  for (const event of events) logEvent(job, event);
  return job;
}

describe("the log", () => {
  it("has one line per lifecycle event of a job that completes, and none for its text", () => {
    const told = log({}, COMMANDS.lease, COMMANDS.append, { ...COMMANDS.complete, part: 1 });
    expect(told.map(({ event, seq }) => [event, seq])).toEqual([
      ["job.submitted", 1],
      ["job.started", 2],
      ["job.progressed", 3],
      ["job.progressed", 6],
      ["job.progressed", 7],
      ["job.completed", 8],
    ]);
  });

  it("has in every line which job it is, whose, and who serves it", () => {
    for (const line of log({}, COMMANDS.lease, COMMANDS.complete)) {
      expect(line).toMatchObject({
        job_id: "test-123",
        tenant: "acme",
        model: "gpt-4o",
        provider: "openai",
      });
      expect(line["attempt"]).toBe(line["event"] === "job.submitted" ? 0 : 1);
    }
  });

  it("says of a completed job what it used and how long it took", () => {
    const told = log({}, COMMANDS.lease, COMMANDS.complete);
    expect(told.at(-1)).toMatchObject({
      event: "job.completed",
      finish_reason: "stop",
      prompt_tokens: 9,
      completion_tokens: 90,
      total_tokens: 99,
      cost_usd: COST,
      ttft_ms: 620,
      provider_ms: 7_700,
      total_ms: 2 * SECOND,
    });
  });

  it("says of an attempt that failed whether there will be another, and why it failed", () => {
    const told = log({}, COMMANDS.lease, COMMANDS.fail);
    expect(told.at(-1)).toMatchObject({
      event: "job.retried",
      error_code: "provider_unavailable",
      retry_at: "2026-11-22T12:00:07.000Z",
      provider_ms: 7_700,
    });
  });

  it("says of a job that gave up that it did, and of one that failed that it has", () => {
    const giveUp = { ...COMMANDS.fail, failure: REJECTED };
    const told = log({}, COMMANDS.lease, giveUp, COMMANDS.dead_letter);
    expect(told.slice(-2)).toMatchObject([
      { event: "job.given_up", error_code: "provider_rejected" },
      { event: "job.failed", error_code: "provider_rejected" },
    ]);
  });

  it("says of a cancelled job that it was", () => {
    expect(log({}, COMMANDS.cancel).at(-1)).toMatchObject({ event: "job.cancelled", seq: 2 });
  });

  it("blames a failed attempt on the model that was called, not on the fallback that will be", () => {
    const refused = { ...COMMANDS.fail, failure: REFUSED };
    const told = log({ routes: [GPT, CLAUDE] }, COMMANDS.lease, refused, COMMANDS.lease);
    const models = told.map(({ event, model, provider }) => [event, model, provider]);
    expect(models.slice(-3)).toEqual([
      ["job.retried", "gpt-4o", "openai"],
      ["job.started", "claude-haiku-4-5", "anthropic"],
      ["job.progressed", "claude-haiku-4-5", "anthropic"],
    ]);
  });
});

describe("a fault's line", () => {
  it("names what it is about, and the error by its name only", () => {
    logFault(
      "alert.failed",
      { webhook_id: "msg_1" },
      new TypeError("https://user:secret@a.example"),
    );
    logFault("queue.unknown", { queue: "jobs-elsewhere" });
    expect(lines.map((line) => JSON.parse(line) as Line)).toEqual([
      { event: "alert.failed", webhook_id: "msg_1", error: "TypeError" },
      { event: "queue.unknown", queue: "jobs-elsewhere" },
    ]);
  });
});

describe("invariant 9: a log line", () => {
  const CANARY = "canary-7f3a";
  const spec: Partial<JobSpec> = {
    user: CANARY,
    metadata: { [CANARY]: CANARY },
    idempotencyKey: CANARY,
    fingerprint: CANARY,
  };
  const token = CANARY;
  const text = `Hello, ${CANARY}`;
  const call = {
    id: CANARY,
    type: "function",
    function: { name: CANARY, arguments: CANARY },
  } as const;
  const lease: Command = { ...COMMANDS.lease, token };
  const append: Command = { ...COMMANDS.append, token, text };
  const answer = { ...ANSWER, model: CANARY, tool_calls: [call] };

  it.each<[string, Command[]]>([
    ["completes", [lease, append, { ...COMMANDS.complete, token, part: 1, text, answer }]],
    ["is retried", [lease, append, { ...COMMANDS.fail, token }]],
    [
      "fails",
      [lease, append, { ...COMMANDS.fail, token, failure: REJECTED }, COMMANDS.dead_letter],
    ],
    ["is cancelled", [lease, append, { type: "cancel", reason: CANARY }]],
  ])("of a job that %s holds nothing of its caller's, its text or its lease", (_, commands) => {
    expect(log(spec, ...commands).length).toBeGreaterThan(0);
    expect(lines.join("\n")).not.toContain(CANARY);
  });
});
