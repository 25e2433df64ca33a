import type { ToolCall, Usage } from "../schema/chat.ts";
import type { JobEvent } from "../schema/event.ts";
import type { JobResult, Tier } from "../schema/job.ts";
import type { Failure } from "./failure.ts";
import type { Lane } from "./lane.ts";
import type { BackOff } from "./retry.ts";

/** One model a job may call: as the caller named it, who serves it, and what it is called there. */
export type Route = { name: string; provider: string; model: string };

/** What was fixed at submission. Instants are epoch milliseconds; those of submission by the Worker's clock. */
export type JobSpec = {
  id: string;
  tenant: string;
  tier: Tier;
  priorityLevel: number;
  lane: Lane;
  /** The submission's key, and a digest of its payload: together they tell a replay from a reuse. */
  idempotencyKey: string | null;
  fingerprint: string;
  /** The model asked for, then its fallbacks. */
  routes: Route[];
  /** Calls each route may get. */
  maxAttempts: number;
  timeoutMs: number;
  leaseMs: number;
  backOff: BackOff;
  submittedAt: number;
  runAt: number;
  /** Not started by then, it fails with `expired`. */
  startBy: number;
  retentionMs: number;
  failedRetentionMs: number;
  /** Until then the id is taken even if the job is purged. */
  keyExpiresAt: number;
  user: string | null;
  metadata: Record<string, string>;
};

/** One call to a model, numbered from 1. */
export type Attempt = {
  number: number;
  route: number;
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
export type Lease = { token: string; expiresAt: number };

/** What the model said about its answer. The text itself is the attempt's deltas in the log. */
export type Answer = Omit<JobResult, "content" | "tool_calls"> & { tool_calls: ToolCall[] };

export type Phase =
  /** `ringAt`: when to send the queue message again, should the last one be lost. */
  | { status: "queued"; readyAt: number; ringAt: number; rings: number }
  | { status: "active"; lease: Lease }
  /** Given up, and the dead-letter consumer is told; at `endAt` it fails even if that consumer never comes. */
  | { status: "failing"; failure: Failure; endAt: number }
  | { status: "completed"; endedAt: number; answer: Answer }
  | { status: "failed"; endedAt: number; failure: Failure }
  | { status: "cancelled"; endedAt: number; reason: string }
  /** Content deleted; the id still answers that it was here. */
  | { status: "purged"; purgedAt: number };

export type Job = {
  spec: JobSpec;
  /** `seq` of the last event. */
  seq: number;
  /** Parts of text the current attempt has appended: the next one expected. */
  appended: number;
  /** Index into `spec.routes`. */
  route: number;
  attempts: Attempt[];
  progress: number;
  step: string | null;
} & Phase;

/** A log event as it is stored: the job's id goes without saying, and a completed one's text is in the deltas. */
export type LogEvent =
  | DistributiveOmit<Exclude<JobEvent, { type: "completed" }>, "job_id">
  | { type: "completed"; seq: number; at: string; result: Answer };

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** The same before it has its place in the log. */
export type Fact = DistributiveOmit<LogEvent, "seq" | "at">;

/** Whether its terminal event is in the log. */
export function hasEnded(job: Job): boolean {
  return job.status === "completed" || job.status === "failed" || job.status === "cancelled";
}

export function currentAttempt(job: Job): Attempt | undefined {
  return job.attempts.at(-1);
}

/** Until when a finished job's content is kept; null while it is not finished. */
export function retainedUntil(job: Job): number | null {
  switch (job.status) {
    case "completed":
    case "cancelled":
      return job.endedAt + job.spec.retentionMs;
    case "failed":
      return job.endedAt + job.spec.failedRetentionMs;
    case "queued":
    case "active":
    case "failing":
    case "purged":
      return null;
  }
}

/** A next attempt that nobody fetches for this long after it was due is given up. */
const RETRY_START_MS = 86_400_000;

/** When time alone moves the job to its next status. Null: time never does. */
export function dueAt(job: Job): number | null {
  switch (job.status) {
    case "queued":
      return job.attempts.length === 0 ? job.spec.startBy : job.readyAt + RETRY_START_MS;
    case "active":
      return job.lease.expiresAt;
    case "failing":
      return job.endAt;
    case "completed":
    case "failed":
    case "cancelled":
      return retainedUntil(job);
    case "purged":
      return Math.max(job.purgedAt, job.spec.keyExpiresAt);
  }
}

/** When the job's alarm must have fired. Every status has such a time, so no job waits on a message alone. */
export function wakeAt(job: Job): number {
  const due = dueAt(job) ?? Infinity;
  return job.status === "queued" ? Math.min(due, job.ringAt) : due;
}
