import { countsOf, type Batch } from "./domain/batch.ts";
import type { DeliveryOutcome } from "./domain/delivery.ts";
import { nextRoute, routeOf } from "./domain/course.ts";
import { currentAttempt, type Job, type LogEvent } from "./domain/job.ts";
import type { Operation } from "./domain/operation.ts";
import { costsOf } from "./domain/view.ts";
import type { Owed } from "./job/job-rpc.ts";

/**
 * Writes one structured line per lifecycle event. The fields are listed here and nowhere else, so that
 * nothing of a prompt, an answer, a key or a token can get into a log.
 */
export function logEvent(job: Job, event: LogEvent): void {
  const line = lineOf(job, event);
  if (line !== null) console.log(JSON.stringify({ ...subject(job), ...line, seq: event.seq }));
}

function subject(job: Job): Record<string, unknown> {
  const attempt = currentAttempt(job);
  const route = attempt === undefined ? nextRoute(job) : routeOf(job, attempt);
  return {
    job_id: job.spec.id,
    tenant: job.spec.tenant,
    model: route?.name,
    provider: route?.provider,
    attempt: job.attempts.length,
  };
}

function lineOf(job: Job, event: LogEvent): Record<string, unknown> | null {
  const attempt = currentAttempt(job);
  switch (event.type) {
    case "queued":
      return { event: "job.submitted", lane: job.spec.lane, priority: job.spec.priorityLevel };
    case "started":
      return { event: "job.started", queue_ms: elapsed(job.spec.runAt, event.at) };
    case "progress":
      // What a caller names a step is the caller's.
      return {
        event: "job.progressed",
        progress: event.progress,
        step: job.course === undefined ? event.step : undefined,
      };
    case "step_started":
      return { event: "step.started", step: event.index, expires_at: event.expires_at };
    case "step_completed":
      return { event: "step.completed", step: event.index, bytes: event.output_bytes };
    case "delta":
      return null;
    case "attempt_failed":
      return {
        event: event.retry_at === null ? "job.given_up" : "job.retried",
        error_code: event.error_code,
        error: event.error,
        retry_at: event.retry_at,
        provider_ms: attempt?.providerMs,
      };
    case "completed":
      return {
        event: "job.completed",
        finish_reason: event.result.finish_reason,
        ...event.result.usage,
        cost_usd: costsOf(job.attempts).cost_usd,
        ttft_ms: attempt?.ttftMs,
        provider_ms: attempt?.providerMs,
        total_ms: elapsed(job.spec.submittedAt, event.at),
      };
    case "failed":
      return {
        event: "job.failed",
        error_code: event.error_code,
        error: event.error,
        total_ms: elapsed(job.spec.submittedAt, event.at),
      };
    case "cancelled":
      return { event: "job.cancelled", total_ms: elapsed(job.spec.submittedAt, event.at) };
  }
}

function elapsed(from: number, to: string): number {
  return Date.parse(to) - from;
}

/** Writes one line about a batch: how many, never what. */
export function logBatch(event: string, batch: Batch): void {
  const { id, tenant, total } = batch.spec;
  console.log(JSON.stringify({ event, batch_id: id, tenant, total, ...countsOf(batch) }));
}

/** Writes one line about an operation on dead letters: how many, never which. */
export function logOperation(event: string, operation: Operation): void {
  const { operationId, action, matched, done, refused } = operation;
  console.log(JSON.stringify({ event, operation_id: operationId, action, matched, done, refused }));
}

/** Writes one line about an attempt to deliver an alert. */
export function logAlert(webhookId: string, attempts: number, outcome: DeliveryOutcome): void {
  const { type, status, latencyMs } = outcome;
  const line = { event: "alert.attempted", webhook_id: webhookId, attempt: attempts };
  console.log(JSON.stringify({ ...line, outcome: type, status, latency_ms: latencyMs }));
}

/** Writes one line about an attempt to deliver an event. Never where to: the URL may hold a token. */
export function logDelivery(
  owed: Omit<Owed, "type" | "body" | "webhook">,
  told: DeliveryOutcome,
): void {
  const { jobId, tenant, deliveryId, event: name, attempt } = owed;
  const subject = { job_id: jobId, tenant, delivery_id: deliveryId, webhook_event: name, attempt };
  const { type: outcome, status, latencyMs: latency_ms, error } = told;
  console.log(
    JSON.stringify({ event: "delivery.attempted", ...subject, outcome, status, latency_ms, error }),
  );
}

/** Writes one line about a delivery that was given up. `status`: of the receiver's last answer. */
export function logUndelivered(object: string, deliveryId: string, status: number | null): void {
  const line = { event: "delivery.exhausted", object, delivery_id: deliveryId, status };
  console.error(JSON.stringify(line));
}

/** Writes one line about a provider that may be called again after `ms`. */
export function logProvider(event: string, provider: string, ms: number): void {
  console.log(JSON.stringify({ event, provider, blocked_ms: ms }));
}

/** What a fault is about: one field, named after what its value is. `object`: the name of a Durable Object. */
export type FaultSubject =
  | { object: string | undefined }
  | { job_id: string }
  | { batch_id: string }
  | { dlq_id: string }
  | { webhook_id: string }
  | { message_id: string }
  | { provider: string }
  | { queue: string };

/** Writes one line about something that went wrong, and with what. An error's name only: its text may hold content. */
export function logFault(event: string, subject: FaultSubject, error?: unknown): void {
  const name = error instanceof Error ? error.name : undefined;
  console.error(JSON.stringify({ event, ...subject, error: name }));
}
