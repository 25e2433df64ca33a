import { unaskable } from "../domain/advance.ts";
import type { Transition } from "../domain/command.ts";
import { MOST_CARRIED_BYTES } from "../domain/course.ts";
import type { Job } from "../domain/job.ts";
import { renderStep } from "../domain/step-input.ts";
import type { StepOutput } from "../domain/step-run.ts";
import { MOST_SHOWN_BYTES, stepsOf } from "../domain/step-view.ts";
import { transition } from "../domain/transition.ts";
import type { StepView } from "../schema/job-steps.ts";
import type { JobStore } from "../storage/job-store.ts";

/** What a finished step has left: its attempt's text, its answer, or what another job has found. */
export function outputAt(job: Job, store: JobStore, index: number): string {
  const done = job.course?.done[index];
  if (done === undefined) return "";
  if (done.carried) return store.carried(index);
  const event = done.attempt === null ? store.event(done.seq) : null;
  if (event?.type === "step_completed") return event.output ?? "";
  const attempt = job.attempts[(done.attempt ?? 0) - 1];
  return attempt === undefined ? "" : store.text(attempt.startedSeq, done.seq);
}

/** The outputs that the step at work refers to. */
export function outputsRead(job: Job, store: JobStore): StepOutput[] {
  const { steps = [] } = job.spec;
  const reads = new Set(steps[job.course?.done.length ?? 0]?.reads);
  return [...reads].map((index) => ({
    name: steps[index]?.name ?? "",
    output: outputAt(job, store, index),
  }));
}

/** The longest question, in UTF-16 units: it is kept in the job's row, and shown wherever the job is. */
const MOST_ASKED_CHARS = 16_384;

/** A job that has come to an approval asks for it, if it can be said what is asked. */
export function asking(job: Job, store: JobStore, now: number): Transition {
  const request = store.request();
  const index = job.course?.done.length ?? 0;
  const outputs = outputsRead(job, store);
  const rendered = request === null ? null : renderStep(request, index, outputs);
  if (rendered?.type === "approval") {
    const message = cut(rendered.message);
    return transition(job, { type: "ask", message }, now);
  }
  const reason = rendered?.type === "refused" ? rendered.reason : "The step cannot be asked for";
  return unaskable(job, reason, now);
}

/** Whole characters only. */
function cut(message: string): string {
  if (message.length <= MOST_ASKED_CHARS) return message;
  return `${message
    .slice(0, MOST_ASKED_CHARS)
    .toWellFormed()
    .replace(/\uFFFD$/, "")}…`;
}

/** A job's steps as its owner sees them. An output that is long is not even read. */
export function stepViews(job: Job, store: JobStore): StepView[] {
  return stepsOf(job, ({ bytes }, index) =>
    bytes > MOST_SHOWN_BYTES ? null : outputAt(job, store, index),
  );
}

/** The outputs a job that repeats this one need not make again: of its first steps, as far as they go in one call. */
export function carriedFrom(job: Job, store: JobStore): string[] {
  const outputs: string[] = [];
  let sum = 0;
  for (const [index, { bytes, input }] of (job.course?.done ?? []).entries()) {
    sum += bytes;
    if (input?.approved === false || sum > MOST_CARRIED_BYTES) break;
    outputs.push(outputAt(job, store, index));
  }
  return outputs;
}
