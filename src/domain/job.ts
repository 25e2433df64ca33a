import type { ToolCall, Usage } from "../schema/chat.ts";
import type { JobEvent } from "../schema/event.ts";
import type { JobResult, Tier } from "../schema/job.ts";
import type { BatchPlace } from "./batch-place.ts";
import type { Bill } from "./bill.ts";
import type { Price } from "./cost.ts";
import { hasBegun, lifeEndsAt, type Course } from "./course.ts";
import type { Failure } from "./failure.ts";
import type { Lane } from "./lane.ts";
import { isPending, lastGivenUpAt, outboxRingsAt, type Outbox } from "./outbox.ts";
import type { BackOff } from "./retry.ts";
import type { Webhook } from "./webhook.ts";

/** One model a job may call: as the caller named it, who serves it, what it is called there, and what it cost at submission. */
export type Route = { name: string; provider: string; model: string; price: Price | null };

/**
 * One step of a job that has several, as it was fixed at submission. What it says is a template, and stays in the request.
 *
 * `type` as in schema/step.ts. Spans in milliseconds.
 */
export type PlannedStep = {
  name: string;
  type: "llm" | "http" | "template" | "approval";
  /** Its part of the progress, of the sum of all. */
  weight: number;
  /** Runs it may get, of each model if it calls any. */
  maxAttempts: number;
  /** Of one run. */
  timeoutMs: number;
  /** The models it may call, the one asked for first; none unless it is `llm`. */
  routes: Route[];
  /** What its own text, with the job's input, is likely to count; the outputs it reads come on top. 0 unless it is `llm`. */
  promptTokens: number;
  /** Most tokens of its answer. 0 unless it is `llm`. */
  answerTokens: number;
  /** The earlier steps whose outputs it refers to, by index, once for each time it does. */
  reads: number[];
  /** How long an approval is waited for. Absent in the others. */
  expiresMs?: number;
  /** The headers an `http` step sends, sealed. Absent: there are none. */
  headers?: string;
  /** The origin the job was submitted to: no `http` step may ask it. Absent in the others. */
  submittedTo?: string;
};

/** What an `http` step is sent with besides what its templates say. */
export type HttpPlan = Pick<PlannedStep, "headers" | "submittedTo">;

/** What was fixed at submission. Instants are epoch milliseconds; those of submission by the Worker's clock. */
export type JobSpec = {
  id: string;
  /** Random, so that no other job ever has it, though an id may be used again once its key has expired. */
  uid: string;
  /** The job this one repeats. */
  replayOf: string | null;
  tenant: string;
  tier: Tier;
  priorityLevel: number;
  lane: Lane;
  /** The submission's key, and a digest of its payload: together they tell a replay from a reuse. */
  idempotencyKey: string | null;
  fingerprint: string;
  /** The model asked for, then its fallbacks. Of a job of several steps: those of the first step that calls any; else none. */
  routes: Route[];
  /** Absent: the job is one call. */
  steps?: PlannedStep[];
  /** Calls each route may get. */
  maxAttempts: number;
  /** Consumers that may die or go silent on it; one more, and it is given up. */
  maxStalls: number;
  timeoutMs: number;
  leaseMs: number;
  backOff: BackOff;
  submittedAt: number;
  runAt: number;
  /** Not started by then, it fails with `expired`. */
  startBy: number;
  /** Not ended by then, it fails with `timeout`. */
  endBy: number;
  /** What the prompt is likely to count, for calls whose provider says nothing. */
  promptTokens: number;
  /** Most tokens of an answer. Absent in jobs from before it was kept. */
  answerTokens?: number;
  retentionMs: number;
  failedRetentionMs: number;
  /** Until then the id is taken even if the job is purged. */
  keyExpiresAt: number;
  user: string | null;
  metadata: Record<string, string>;
  /** What all its calls together may cost. Absent: as much as it takes. */
  maxCostUsd?: number;
  /** Absent: nobody is to be told. */
  webhook?: Webhook;
  /** Absent: it is in no batch. */
  batch?: BatchPlace;
};

/** One call to a model, numbered from 1. */
export type Attempt = {
  number: number;
  /** Index into the models it could call: the job's or, of a job of several steps, its step's. */
  route: number;
  /** Index of its step. Absent: the job is one call. */
  step?: number;
  /** Of its lease: by it a consumer that was stopped still accounts for its call. */
  token: string;
  outcome: "running" | "completed" | "failed" | "cancelled";
  startedAt: number;
  /** `seq` of its `started` event: the text after it, up to the next start, is this attempt's. */
  startedSeq: number;
  endedAt: number | null;
  ttftMs: number | null;
  providerMs: number | null;
  usage: Usage | null;
  costUsd: number | null;
  failure: Failure | null;
};

/** A consumer's exclusive, expiring right to one attempt; the token fences late writers. */
type Lease = { token: string; expiresAt: number };

/** What the model said about its answer. The text itself is the attempt's deltas in the log. */
export type Answer = Omit<JobResult, "content" | "tool_calls"> & { tool_calls: ToolCall[] };

export type Phase =
  /** `ringAt`: when to send the queue message again, should the last one be lost. */
  | ({ status: "queued"; readyAt: number } & Ring)
  | { status: "active"; lease: Lease }
  /** For an approval, until `expiresAt`; `message`: what is asked. */
  | { status: "waiting"; since: number; expiresAt: number; message: string }
  /** Given up, and the dead-letter consumer is told; at `endAt` it fails even if that consumer never comes. */
  | { status: "failing"; failure: Failure; endAt: number }
  | { status: "completed"; endedAt: number; answer: Answer }
  /** `letter`: when to ring for the dead-letter consumer again; null once the dead letter is written. */
  | { status: "failed"; endedAt: number; failure: Failure; letter: Ring | null }
  /** `letterToo`: it had been given up, so a dead letter may have been written of it. */
  | { status: "cancelled"; endedAt: number; reason: string; letterToo: boolean }
  /**
   * Content deleted; the id still answers that it was here. `letterToo`: its dead letter must go as well. `bill`: what it
   * came to, should its account not have heard; absent in jobs purged before there were accounts.
   */
  | { status: "purged"; purgedAt: number; letterToo: boolean; bill?: Bill | null };

/** A message that may have to be sent again: when, and how often it was sent. */
export type Ring = { ringAt: number; rings: number };

export type Job = {
  spec: JobSpec;
  /** `seq` of the last event. */
  seq: number;
  /** Parts of text the current attempt has appended: the next one expected. */
  appended: number;
  /** Bytes of UTF-8 in them. */
  said: number;
  /** Index into the models it may call now: `spec.routes` or, of a job of several steps, its step's. */
  route: number;
  attempts: Attempt[];
  progress: number;
  step: string | null;
  /** Absent: the job is one call. */
  course?: Course;
  /** What its webhook is owed. */
  outbox: Outbox;
} & Phase;

/** A log event as it is stored: the job's id goes without saying, and a completed one's text is in the deltas. */
export type LogEvent =
  | DistributiveOmit<Exclude<JobEvent, { type: "completed" }>, "job_id">
  | { type: "completed"; seq: number; at: string; result: Answer };

export type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** The same before it has its place in the log. */
export type Fact = DistributiveOmit<LogEvent, "seq" | "at">;

/** What tells one submission of an id from another. */
export type Submission = Pick<JobSpec, "tenant" | "fingerprint" | "idempotencyKey">;

/** Whether two submissions of one id ask for the same job. */
export function isSameSubmission(a: Submission, b: Submission): boolean {
  const isSame = a.fingerprint === b.fingerprint && a.idempotencyKey === b.idempotencyKey;
  return isSame && a.tenant === b.tenant;
}

/** Whether it is another tenant's than the caller's. The plumbing is nobody's: it names none. */
export function isForeign({ spec }: Job, tenant: string | null = null): boolean {
  return tenant !== null && spec.tenant !== tenant;
}

/** Whether there may be a dead letter of it. */
export function hasLetter(job: Job): boolean {
  if (job.status === "cancelled" || job.status === "purged") return job.letterToo;
  return job.status === "failing" || job.status === "failed";
}

/** Of the job's dead letter, should it ever have one. */
export function dlqIdOf({ uid }: JobSpec): string {
  return `dlq_${uid}`;
}

/** Whether its terminal event is in the log. */
export function hasEnded(job: Job): boolean {
  return job.status === "completed" || job.status === "failed" || job.status === "cancelled";
}

export function currentAttempt(job: Job): Attempt | undefined {
  return job.attempts.at(-1);
}

/** How long a job is kept at least once a delivery of it was given up, so that somebody can see it and have it replayed. */
const UNDELIVERED_RETENTION_MS = 86_400_000;

/** Until when a finished job's content is kept, unless more is owed to its webhook; null while it is not finished. */
export function retainedUntil(job: Job): number | null {
  const givenUpAt = lastGivenUpAt(job.outbox);
  const least = givenUpAt === null ? 0 : givenUpAt + UNDELIVERED_RETENTION_MS;
  switch (job.status) {
    case "completed":
    case "cancelled":
      return Math.max(least, job.endedAt + job.spec.retentionMs);
    case "failed":
      return Math.max(least, job.endedAt + job.spec.failedRetentionMs);
    case "queued":
    case "active":
    case "waiting":
    case "failing":
    case "purged":
      return null;
  }
}

/** When time alone moves the job to its next status. Null: time never does. */
export function dueAt(job: Job): number | null {
  switch (job.status) {
    case "queued":
      return hasBegun(job) ? lifeEndsAt(job) : job.spec.startBy;
    case "active":
      return Math.min(job.lease.expiresAt, lifeEndsAt(job));
    case "waiting":
      return job.expiresAt;
    case "failing":
      return job.endAt;
    case "failed":
      // What nobody wrote down is kept until somebody does.
      return job.letter === null && !owes(job) ? retainedUntil(job) : null;
    case "completed":
    case "cancelled":
      // So is what a webhook is still owed.
      return owes(job) ? null : retainedUntil(job);
    case "purged":
      return Math.max(job.purgedAt, job.spec.keyExpiresAt);
  }
}

/** Whether there are deliveries that are not settled. */
function owes({ outbox }: Job): boolean {
  return outbox.some(isPending);
}

/** When the job's alarm must have fired. Every status has such a time, so no job waits on a message alone. */
export function wakeAt(job: Job): number {
  return Math.min(dueAt(job) ?? Infinity, ringsAt(job), outboxRingsAt(job.outbox));
}

/** When its message, or that of its dead letter, is sent again. */
function ringsAt(job: Job): number {
  if (job.status === "queued") return job.ringAt;
  return job.status === "failed" ? (job.letter?.ringAt ?? Infinity) : Infinity;
}
