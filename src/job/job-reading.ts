import {
  currentAttempt,
  hasEnded,
  isSameSubmission,
  type Job,
  type LogEvent,
  type Submission,
} from "../domain/job.ts";
import { isCutByBudget } from "../domain/budget.ts";
import { partIsShown, partIsVoid, statusOf, viewOf } from "../domain/view.ts";
import { originOf } from "../domain/origin.ts";
import { outputAt } from "./step-reading.ts";
import type {
  Frame,
  LogPage,
  NextDelivery,
  Shown,
  Source,
  Submitted,
  TextApart,
} from "./job-rpc.ts";
import type { JobResult, JobView } from "../schema/job.ts";
import type { Delivery } from "../domain/outbox.ts";
import { webhookBody } from "../domain/webhook-body.ts";
import type { Bodies, JobStore } from "../storage/job-store.ts";

/** About how much of the log one page holds, in characters. */
const PAGE_CHARS = 262_144;

/** A longer text is apart from the terminal event for those who know that: a thousand readers may ask for it at once. */
const LONG_TEXT_BYTES = 65_536;

/** A run of the log after `after`, and where the job stands. */
export function pageOf(job: Job, store: JobStore, after: number, textApart: boolean): LogPage {
  const { events, more } = store.events(after, PAGE_CHARS);
  return {
    jobId: job.spec.id,
    status: statusOf(job),
    lastSeq: job.seq,
    ended: hasEnded(job),
    events: framesOf(job, events, store, textApart),
    more,
  };
}

/** What a submission of an id that this job has is answered. */
export function submittedBefore(job: Job, submission: Submission, shown: Shown): Submitted {
  if (job.status === "purged") return { type: "gone" };
  if (!isSameSubmission(job.spec, submission)) return { type: "reused" };
  return { type: "replayed", ...shown };
}

/** What the job is submitted again from. */
export function sourceOf(job: Job, store: JobStore): Source {
  const request = store.request();
  if (request === null) throw new Error("a job has lost its request");
  return { status: statusOf(job), origin: originOf(job.spec, request) };
}

/** Events as readers see them: with the job's id and, at the end, the whole text, unless that is long and to be `textApart`. */
export function framesOf(
  job: Job,
  events: LogEvent[],
  store: JobStore,
  textApart: boolean,
): Frame[] {
  return events.map((event) => {
    const { seq } = event;
    if (event.type !== "completed") return { seq, json: wire(job, event) };
    const isApart = textApart && job.said > LONG_TEXT_BYTES;
    const content = isApart ? "" : textOf(job, store);
    const json = wire(job, event, { content, ...event.result });
    return isApart ? { seq, json, text: textApartOf(job, json) } : { seq, json };
  });
}

/** The fields of a job that hold its text: its result, or the part there is of one. `waiting`: not stored yet. */
export function textShown(
  job: Job,
  store: JobStore,
  withPart: boolean,
  waiting = "",
): Pick<JobView, "result" | "partial_output"> {
  if (job.status === "completed") {
    return { result: { content: textOf(job, store) + waiting, ...job.answer } };
  }
  if (!withPart || !partIsShown(job)) return {};
  return { partial_output: partIsVoid(job) ? "" : textOf(job, store) + waiting };
}

/** What is to be delivered of a transition that is about to be stored: a body for each delivery that is new. */
export function bodiesOf(
  before: Job,
  { job, events }: { job: Job; events: LogEvent[] },
  store: JobStore,
  now: number,
): Bodies {
  const { webhook } = job.spec;
  const isOwed = events.length > 0 && job.outbox !== before.outbox;
  if (webhook === undefined || !isOwed) return {};
  const fresh = events.map(textIn).join("");
  // What is too long to be sent is not even read: it may be megabytes, and nothing may get in the way of the end.
  const isTooLong = job.said > webhook.maxBodyBytes && endsWithText(job);
  const text = isTooLong ? null : textShown(job, store, hasEnded(job), fresh);
  const seen = viewOf(job, now);
  const owed = new Map(job.outbox.map((delivery) => [delivery.seq, delivery]));
  const bodies = events.flatMap((event) => {
    const delivery = owed.get(event.seq);
    if (delivery === undefined) return [];
    return [
      [delivery.id, webhookBody(delivery.event, event, { job: seen, text }, webhook)] as const,
    ];
  });
  return Object.fromEntries(bodies);
}

/** A delivery and all that an attempt at it takes. */
export function owedOf(job: Job, delivery: Delivery, store: JobStore): NextDelivery {
  const { tenant, id: jobId, webhook } = job.spec;
  const body = store.body(delivery);
  if (webhook === undefined || body === null) throw new Error("a delivery has lost its body");
  const { id: deliveryId, event, tries } = delivery;
  return { type: "owed", tenant, jobId, webhook, deliveryId, event, body, attempt: tries + 1 };
}

function endsWithText(job: Job): boolean {
  if (job.status === "cancelled") return !partIsVoid(job);
  return job.status === "completed" || isCutByBudget(job);
}

/** What an event that is not stored yet adds to the job's text: an answer is one, where the last step is an approval. */
function textIn(event: LogEvent): string {
  if (event.type === "step_completed") return event.output ?? "";
  return event.type === "delta" ? event.delta : "";
}

/** What the job's current attempt has said, or the last of its steps has left; it is in the log and nowhere else. */
function textOf(job: Job, store: JobStore): string {
  if (job.status === "completed" && job.course !== undefined) {
    return outputAt(job, store, job.course.done.length - 1);
  }
  const attempt = currentAttempt(job);
  return attempt === undefined ? "" : store.text(attempt.startedSeq);
}

/** How the text begins in the JSON of a terminal event. Nothing of a caller's or a model's making is before it. */
const CONTENT = '"content":"';

function textApartOf(job: Job, json: string): TextApart {
  const after = currentAttempt(job)?.startedSeq ?? 0;
  return { after, at: json.indexOf(CONTENT) + CONTENT.length, bytes: job.said };
}

/** `result`: of a completed job, with its text. */
function wire(job: Job, event: LogEvent, result?: JobResult): string {
  const { type, ...rest } = event;
  const wired = { type, job_id: job.spec.id, ...rest };
  if (result === undefined) return JSON.stringify(wired);
  return JSON.stringify({ ...wired, result, completed_at: event.at });
}
