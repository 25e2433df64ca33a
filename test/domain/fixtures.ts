import type { JobEnded } from "../../src/domain/stats.ts";
import type { Answer, Job, JobSpec, PlannedStep, Route } from "../../src/domain/job.ts";
import type { CallReport, Command, Transition } from "../../src/domain/command.ts";
import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import type { Failure } from "../../src/domain/failure.ts";
import type { ProviderState } from "../../src/domain/provider-view.ts";
import type { Webhook } from "../../src/domain/webhook.ts";
import { accept, transition } from "../../src/domain/transition.ts";

export type Taken = Extract<Transition, { ok: true }>;
export type Status = Job["status"];
export type JobIn<S extends Status> = Extract<Job, { status: S }>;

/** When every job of the tests is submitted. */
export const NOW = Date.UTC(2026, 10, 22, 12);
export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const TOKEN = "token-1";

export const ANSWER: Answer = {
  model: "gpt-4o-2024-08-06",
  finish_reason: "stop",
  tool_calls: [],
  usage: { prompt_tokens: 9, completion_tokens: 90, total_tokens: 99 },
};

export const REPORT: CallReport = {
  ttftMs: 620,
  providerMs: 7_700,
  usage: ANSWER.usage,
  taken: true,
  answerBytes: null,
};

export const UNAVAILABLE: Failure = {
  code: "provider_unavailable",
  message: "The provider is unavailable (HTTP 503)",
  remedy: "retry",
  retryAfterMs: null,
};
export const REJECTED: Failure = {
  code: "provider_rejected",
  message: "The provider rejected the request (HTTP 400)",
  remedy: "give_up",
  retryAfterMs: null,
};
export const REFUSED: Failure = { ...REJECTED, remedy: "next_model" };

export const GPT: Route = {
  name: "gpt-4o",
  model: "gpt-4o",
  provider: "openai",
  price: { input: 2.5, output: 10 },
};
export const CLAUDE: Route = {
  name: "claude-haiku-4-5",
  model: "claude-haiku-4-5",
  provider: "anthropic",
  price: { input: 1, output: 5 },
};

/** Of a call to `GPT` that reported `ANSWER.usage`: 9 tokens at $2.50 and 90 at $10 a million. */
export const COST = 0.0009225;

export function specOf(over: Partial<JobSpec> = {}): JobSpec {
  const { submittedAt = NOW } = over;
  const { runAt = submittedAt } = over;
  const { startBy = runAt + DAY } = over;
  return {
    id: "test-123",
    uid: "uid-of-test-123",
    replayOf: null,
    tenant: "acme",
    tier: "pro",
    priorityLevel: 3,
    lane: "high",
    idempotencyKey: "test-123",
    fingerprint: "fingerprint",
    routes: [GPT],
    maxAttempts: 3,
    maxStalls: 2,
    timeoutMs: 90 * SECOND,
    leaseMs: MINUTE,
    backOff: { baseMs: 5 * SECOND, maxMs: 300 * SECOND },
    submittedAt,
    runAt,
    startBy,
    endBy: startBy + DAY,
    promptTokens: 12,
    retentionMs: DAY,
    failedRetentionMs: 7 * DAY,
    keyExpiresAt: submittedAt + DAY,
    user: "ada",
    metadata: { page: "faq" },
    ...over,
  };
}

export const LLM_STEP: PlannedStep = {
  name: "Writing",
  type: "llm",
  weight: 1,
  maxAttempts: 3,
  timeoutMs: 90 * SECOND,
  routes: [GPT],
  promptTokens: 12,
  answerTokens: 4_096,
  reads: [],
};
const UNPRICED = { routes: [], promptTokens: 0, answerTokens: 0 };
export const HTTP_STEP: PlannedStep = { ...LLM_STEP, ...UNPRICED, name: "Fetching", type: "http" };
export const TEMPLATE_STEP: PlannedStep = { ...HTTP_STEP, name: "Joining", type: "template" };
export const APPROVAL_STEP: PlannedStep = {
  ...HTTP_STEP,
  name: "Approving",
  type: "approval",
  expiresMs: HOUR,
};

/** Wants the last word on its job only. */
export const WEBHOOK: Webhook = {
  url: "https://receiver.example.com/hooks",
  gate: "gate-of-the-receiver",
  events: ["job.completed", "job.failed", "job.cancelled"],
  headers: null,
  submittedTo: "https://afterword.example.com",
  maxBodyBytes: 20 * 1024,
};

/** Wants to be told of all there is. */
export const CURIOUS: Webhook = {
  ...WEBHOOK,
  events: ["job.started", "job.progress", ...WEBHOOK.events],
};

/** Of what a job's first event owes its webhook, had it one. */
const DELIVERY = "msg_uid-of-test-123_2";

export const DELIVERED: DeliveryOutcome = {
  type: "delivered",
  status: 204,
  error: null,
  answer: "",
  latencyMs: 30,
  retryAfterMs: null,
};

export const BROKEN: DeliveryOutcome = {
  type: "failed",
  status: 500,
  error: "HTTP 500",
  answer: "Oops",
  latencyMs: 30,
  retryAfterMs: null,
};
export const GONE: DeliveryOutcome = { ...BROKEN, type: "gone", status: 410, error: "HTTP 410" };

/** One command of each type, as the holder of `TOKEN` gives it in its first words. */
export const COMMANDS: { [T in Command["type"]]: Extract<Command, { type: T }> } = {
  lease: { type: "lease", token: TOKEN },
  append: { type: "append", token: TOKEN, part: 0, text: "Hello", ttftMs: 620 },
  complete: {
    type: "complete",
    token: TOKEN,
    part: 0,
    text: "Hello",
    ttftMs: 620,
    answer: ANSWER,
    report: REPORT,
  },
  fail: { type: "fail", token: TOKEN, failure: UNAVAILABLE, report: REPORT, jitter: 0.5 },
  account: { type: "account", token: TOKEN, report: REPORT },
  give_up: { type: "give_up" },
  dead_letter: { type: "dead_letter" },
  ask: { type: "ask", message: "May this go out?" },
  input: {
    type: "input",
    requestId: "input_uid-of-test-123_0",
    approved: true,
    output: '{"approved":true,"comment":null,"data":null}',
    digest: "digest-of-yes",
  },
  cancel: { type: "cancel", reason: "Cancelled by the client" },
  delete: { type: "delete" },
  settle: { type: "settle", deliveryId: DELIVERY, token: TOKEN, outcome: DELIVERED, jitter: 0.5 },
  replay: { type: "replay", deliveryId: DELIVERY },
  wake: { type: "wake", jitter: 0.5 },
};

/** The outcome of a command that must be taken. */
export function taken(result: Transition): Taken {
  if (!result.ok) throw new Error(`refused: ${result.reason}`);
  return result;
}

export function accepted(over: Partial<JobSpec> = {}): JobIn<"queued"> {
  return inStatus(taken(accept(specOf(over))).job, "queued");
}

/** The job after commands that must be taken, all given at `now`. */
export function after(job: Job, now: number, ...commands: Command[]): Job {
  return commands.reduce((at, command) => taken(transition(at, command, now)).job, job);
}

export function inStatus<S extends Status>(job: Job, status: S): JobIn<S> {
  if (job.status !== status) throw new Error(`${job.status}, not ${status}`);
  return job as JobIn<S>;
}

/** A job whose first attempt began at `NOW` under `TOKEN`. */
export function started(over: Partial<JobSpec> = {}): JobIn<"active"> {
  return inStatus(after(accepted(over), NOW, COMMANDS.lease), "active");
}

/** The failure of an attempt that no call can mend. */
export const GIVING_UP = { ...COMMANDS.fail, failure: REJECTED };

/** A job that failed by its own alarm, for the dead-letter consumer never came: the letter is owed. */
export function owing(over: Partial<JobSpec> = {}): JobIn<"failed"> {
  const failing = after(started(over), NOW, GIVING_UP);
  return inStatus(after(failing, NOW + 15 * SECOND, COMMANDS.wake), "failed");
}

/** Freezes a value to its depths, so that a function that changes its input throws. */
export function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}

/** What the statistics are told of a job that completed. */
export const JOB_ENDED: JobEnded = {
  type: "ended",
  job: "job-1",
  tenant: "acme",
  model: "gpt-4o",
  provider: "openai",
  status: "completed",
  errorCode: null,
  ttftMs: 620,
  totalMs: 8_100,
  costUsd: 0.0011,
  wastedCostUsd: 0,
  promptTokens: 9,
  completionTokens: 90,
};

/** How a provider is for whom nobody waits, and what is said otherwise. */
export function providerState(over: Partial<ProviderState> = {}): ProviderState {
  const unlimited = { requests: null, tokens: null };
  return {
    limits: unlimited,
    order: unlimited,
    setting: unlimited,
    fallback: unlimited,
    learned: {},
    paused: false,
    blockedUntil: 0,
    parked: { high: 0, normal: 0, low: 0, long: 0 },
    oldestParkedAt: null,
    ...over,
  };
}
