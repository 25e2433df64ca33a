import { currentAttempt, hasEnded, type Job, type LogEvent } from "./domain/job.ts";
import { partIsShown, partIsVoid, statusOf } from "./domain/view.ts";
import { originOf } from "./domain/origin.ts";
import type { Frame, LogPage, Source } from "./job-rpc.ts";
import type { JobView } from "./schema/job.ts";
import type { JobStore } from "./storage/job-store.ts";

/** About how much text one page of the log holds. */
const PAGE_CHARS = 262_144;

/** A run of the log after `after`, and where the job stands. */
export function pageOf(job: Job, store: JobStore, after: number): LogPage {
  const { events, more } = store.events(after, PAGE_CHARS);
  return {
    jobId: job.spec.id,
    status: statusOf(job),
    lastSeq: job.seq,
    ended: hasEnded(job),
    events: framesOf(job, events, store),
    more,
  };
}

/** What the job is submitted again from. */
export function sourceOf(job: Job, store: JobStore): Source {
  const request = store.request();
  if (request === null) throw new Error("a job has lost its request");
  return { status: statusOf(job), origin: originOf(job.spec, request) };
}

/** Events as readers see them: with the job's id and, at the end, the whole text. */
export function framesOf(job: Job, events: LogEvent[], store: JobStore): Frame[] {
  return events.map((event) => ({ seq: event.seq, json: wire(job, event, store) }));
}

/** The fields of a job that hold its text: its result, or the part there is of one. `waiting`: not in the log yet. */
export function textShown(
  job: Job,
  store: JobStore,
  withPart: boolean,
  waiting = "",
): Pick<JobView, "result" | "partial_output"> {
  if (job.status === "completed") return { result: { content: textOf(job, store), ...job.answer } };
  if (!withPart || !partIsShown(job)) return {};
  return { partial_output: partIsVoid(job) ? "" : textOf(job, store) + waiting };
}

/** What the job's current attempt has said; it is in the log and nowhere else. */
function textOf(job: Job, store: JobStore): string {
  const attempt = currentAttempt(job);
  return attempt === undefined ? "" : store.text(attempt.startedSeq);
}

function wire(job: Job, event: LogEvent, store: JobStore): string {
  const { type, ...rest } = event;
  const wired = { type, job_id: job.spec.id, ...rest };
  if (event.type !== "completed") return JSON.stringify(wired);
  const result = { content: textOf(job, store), ...event.result };
  return JSON.stringify({ ...wired, result, completed_at: event.at });
}
