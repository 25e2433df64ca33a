import type { JobWebhookEvent } from "../schema/delivery.ts";
import type { JobView } from "../schema/job.ts";
import type { LogEvent } from "./job.ts";
import type { Webhook } from "./webhook.ts";

const encoder = new TextEncoder();

/** A job as its owner would have seen it, and its text; null: it is too long to be looked at. */
export type Seen = { job: JobView; text: Pick<JobView, "result" | "partial_output"> | null };

/**
 * What is sent of an event: exact bytes, made once and kept, so that every attempt and every replay sends the same.
 *
 * Standard Webhooks' `type`, `timestamp` and `data`, and beside them what the founding articles' receivers read. A text
 * that makes the body longer than the webhook's limit gives way to a link.
 */
export function webhookBody(
  name: JobWebhookEvent,
  event: LogEvent,
  { job, text }: Seen,
  { submittedTo, maxBodyBytes }: Webhook,
): string {
  if (text !== null) {
    const whole = JSON.stringify(bodyOf(name, event, { ...job, ...text }));
    const hasText = text.result !== undefined || text.partial_output !== undefined;
    if (!hasText || encoder.encode(whole).byteLength <= maxBodyBytes) return whole;
  }
  // Unasked, a poll shows no text that has not become a result.
  const asked = job.status === "completed" ? "" : "?include=partial_output";
  const linked = { ...job, result_url: `${submittedTo}/api/jobs/${job.job_id}${asked}` };
  return JSON.stringify(bodyOf(name, event, linked));
}

type Told = JobView & { result_url?: string };

function bodyOf(name: JobWebhookEvent, event: LogEvent, data: Told): object {
  const { job_id, submitted_at } = data;
  const head = { type: name, timestamp: event.at, data, event: name, job_id };
  return { ...head, ...fieldsOf(event, data), submitted_at };
}

function fieldsOf(event: LogEvent, data: Told): object {
  switch (event.type) {
    case "started": {
      const { attempt, model, provider } = event;
      return { attempt, model, provider, started_at: event.at };
    }
    case "progress":
      return { progress: event.progress, step: event.step };
    case "completed":
      return { ...textOf(data), completed_at: event.at };
    case "failed": {
      const { error, error_code, attempts } = event;
      return { error, error_code, attempts, failed_at: event.at };
    }
    case "cancelled":
      return { reason: event.reason, cancelled_at: event.at };
    case "queued":
    case "step_started":
    case "step_completed":
    case "delta":
    case "attempt_failed":
      return {};
  }
}

function textOf({ result, result_url }: Told): object {
  return result === undefined ? { result_url } : { result };
}
