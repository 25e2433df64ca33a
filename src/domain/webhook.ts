import type { CreateJob } from "../schema/job.ts";
import type { JobWebhookEvent } from "../schema/delivery.ts";
import type { LogEvent } from "./job.ts";

/** Where a job's events are delivered, as it was fixed at submission. */
export type Webhook = {
  url: string;
  /** Names the object that keeps deliveries to the URL's origin within bounds. */
  gate: string;
  events: readonly JobWebhookEvent[];
  /** The caller's own headers, sealed; null if there are none. */
  headers: string | null;
  /** The origin the job was submitted to: no webhook may point there, and links to the job begin with it. */
  submittedTo: string;
  /** A body that would be longer, in bytes of UTF-8, holds links to the texts instead of the texts. */
  maxBodyBytes: number;
};

/** The last word on a job; one of them is always delivered. */
const TERMINAL_EVENTS: readonly JobWebhookEvent[] = [
  "job.completed",
  "job.failed",
  "job.cancelled",
];

/** Which events a submission asks for: the terminal ones in any case, for a receiver must miss no end, and those it names. */
export function eventsAskedFor({ webhook_events = [] }: CreateJob): JobWebhookEvent[] {
  return [...new Set([...webhook_events, ...TERMINAL_EVENTS])];
}

export function isTerminal(event: JobWebhookEvent): boolean {
  return TERMINAL_EVENTS.includes(event);
}

/** What a log event is called where it is delivered; null where it never is. */
export function webhookEventOf({ type }: LogEvent): JobWebhookEvent | null {
  switch (type) {
    case "started":
    case "progress":
    case "completed":
    case "failed":
    case "cancelled":
      return `job.${type}`;
    case "queued":
    case "step_started":
    case "step_completed":
    case "delta":
    case "attempt_failed":
      return null;
  }
}
