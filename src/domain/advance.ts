import {
  afterWaiting,
  isAtApproval,
  progressAfter,
  requestIdAt,
  stepOf,
  type Course,
  type DoneStep,
} from "./course.ts";
import { tokensLeft } from "./budget.ts";
import { sumOfUsage } from "./cost.ts";
import { cancel, giveUp } from "./end.ts";
import { OVER_BUDGET, refusedStep } from "./failure.ts";
import { iso } from "./instant.ts";
import type { Command, Transition } from "./command.ts";
import type { Answer, Fact, Job, JobSpec } from "./job.ts";
import { enter, next, rung } from "./next.ts";

/** What is finished of a step, but for its place in the log. */
type Finished = Omit<DoneStep, "seq" | "startedAt" | "endedAt">;

/** The job with the step it comes to entered, and what that tells. An approval is entered when its question is known. */
export function entering(job: Job, now: number): { job: Job; facts: Fact[] } {
  const { course, spec } = job;
  const step = stepOf(job);
  const isEntered = course === undefined || course.enteredAt !== null;
  if (step === undefined || isEntered || step.type === "approval") return { job, facts: [] };
  const index = course.done.length;
  const progress = progressAfter(spec.steps ?? [], index);
  return {
    job: { ...job, course: { ...course, enteredAt: now } },
    facts: [
      { type: "step_started", step: step.name, index },
      { type: "progress", progress, step: step.name },
    ],
  };
}

/** The step at work is finished, after these facts: on to the next one, or to the end with this answer. */
export function advance(
  job: Job & { course: Course },
  finished: Finished & { output?: string },
  answer: Answer,
  facts: Fact[],
  now: number,
): Transition {
  const { course } = job;
  const { output, ...rest } = finished;
  const index = course.done.length;
  const name = stepOf(job)?.name ?? "";
  const { attempt, bytes } = finished;
  const told: Fact[] = [
    ...facts,
    {
      type: "step_completed",
      step: name,
      index,
      attempt,
      output_bytes: bytes,
      ...(output === undefined ? {} : { output }),
    },
  ];
  const done: DoneStep = {
    ...rest,
    seq: job.seq + told.length,
    startedAt: course.enteredAt ?? now,
    endedAt: now,
  };
  const moved = {
    ...job,
    route: 0,
    course: { ...course, done: [...course.done, done], enteredAt: null },
  };
  if (finished.input?.approved === false) return rejected(moved, told, now);
  if (stepOf(moved) === undefined) return completed(moved, answer, told, now);
  const entered = entering(moved, now);
  const goesOn = [...told, ...entered.facts];
  // Decided now: a job that waited for its call first would hold a place, and a permit, for nothing.
  if (tokensLeft(entered.job) < 1) return giveUp(entered.job, OVER_BUDGET, now, goesOn);
  const phase = { status: "queued" as const, readyAt: now, ...rung(0, now) };
  return next(enter(entered.job, phase), now, goesOn);
}

function rejected(job: Job, told: Fact[], now: number): Transition {
  return cancel(job, "Rejected", now, told);
}

/** The whole job's answer: the last step's, with the usage of all. */
function completed(job: Job & { course: Course }, last: Answer, told: Fact[], now: number) {
  const usages = job.attempts.flatMap(({ outcome, usage }) =>
    outcome === "completed" ? (usage ?? []) : [],
  );
  const named = job.course.done.findLast(({ model }) => model !== undefined);
  const answer: Answer = {
    ...last,
    model: named?.model ?? last.model,
    usage: usages.length === 0 ? null : sumOfUsage(usages),
  };
  return next(enter(job, { status: "completed", endedAt: now, answer }), now, [
    ...told,
    { type: "progress", progress: 100, step: "Complete" },
    { type: "completed", result: answer },
  ]);
}

/** The answer of a step that no model gives. */
export const NO_ANSWER: Answer = {
  model: "none",
  finish_reason: "stop",
  tool_calls: [],
  usage: null,
};

/** Whether the job has come to an approval that is to be asked for now. */
export function isToAsk(job: Job, now: number): boolean {
  const isDue = job.status === "queued" && now >= job.readyAt;
  return isDue && isAtApproval(job);
}

/** The approval is asked for: from here the job waits for an answer, and for nothing else. */
export function ask(job: Job, message: string, now: number): Transition {
  const { course, spec } = job;
  const step = stepOf(job);
  if (course === undefined || step?.expiresMs === undefined || job.status !== "queued") {
    return { ok: false, reason: "illegal" };
  }
  if (!isAtApproval(job)) return { ok: false, reason: "illegal" };
  if (now < job.readyAt) return { ok: false, reason: "not_due" };
  const index = course.done.length;
  const expiresAt = now + step.expiresMs;
  const waiting = enter(
    { ...job, course: { ...course, enteredAt: now } },
    { status: "waiting", since: now, expiresAt, message },
  );
  return next(waiting, now, [
    {
      type: "step_started",
      step: step.name,
      index,
      request_id: requestIdAt(spec, index),
      message,
      expires_at: iso(expiresAt),
    },
    { type: "progress", progress: progressAfter(spec.steps ?? [], index), step: step.name },
  ]);
}

/** The job cannot say what it would ask: it fails in this step. `reason` holds nothing of its content. */
export function unaskable(job: Job, reason: string, now: number): Transition {
  const { course } = job;
  const entered = course === undefined ? job : { ...job, course: { ...course, enteredAt: now } };
  return giveUp(entered, refusedStep(reason), now, []);
}

/** Somebody has answered what was asked. */
export function input(
  job: Job,
  { requestId, approved, output, digest }: Extract<Command, { type: "input" }>,
  now: number,
): Transition {
  if (whatIsAsked(job) !== requestId) return { ok: false, reason: "illegal" };
  const resumed = afterWaiting(job, now);
  if (resumed.course === undefined) return { ok: false, reason: "illegal" };
  const bytes = new TextEncoder().encode(output).byteLength;
  const told = { ...resumed, appended: 0, said: bytes, course: resumed.course };
  const finished = { attempt: null, bytes, input: { approved, digest }, output };
  const after = advance(told, finished, NO_ANSWER, [], now);
  if (!after.ok || after.job.status !== "queued" || isAtApproval(after.job)) return after;
  // No consumer is there to go on with the next step.
  return { ...after, effects: [...after.effects, { type: "ring" }] };
}

/** The id of what the job waits for; null: for nothing. */
export function whatIsAsked({ status, spec, course }: Job): string | null {
  if (status !== "waiting" || course === undefined) return null;
  return requestIdAt(spec, course.done.length);
}

/** What became of an answer that is not taken: given before, given otherwise, or asked for by nobody. */
export function inputBefore(
  { spec, course }: Job,
  requestId: string,
  digest: string,
): "same" | "other" | "unasked" {
  const at = course?.done.findIndex((_, index) => requestIdAt(spec, index) === requestId) ?? -1;
  const given = course?.done[at]?.input;
  if (given === undefined) return "unasked";
  return given.digest === digest ? "same" : "other";
}

/** What the log tells of the steps that the job need not carry out, for the one that it repeats has. */
export function carriedOver({ steps = [] }: JobSpec, carried: number[]): Fact[] {
  return steps.slice(0, carried.length).map(({ name }, index) => ({
    type: "step_completed",
    step: name,
    index,
    attempt: null,
    output_bytes: carried[index] ?? 0,
    carried: true,
  }));
}
