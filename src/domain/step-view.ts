import type { StepStatus, StepView } from "../schema/job-steps.ts";
import { sumOfUsage } from "./cost.ts";
import { requestIdAt, routeOf, type DoneStep } from "./course.ts";
import { iso } from "./instant.ts";
import { hasEnded, type Attempt, type Job, type PlannedStep } from "./job.ts";

/** Outputs up to so many bytes are shown with their steps. */
export const MOST_SHOWN_BYTES = 20_480;

/** A job's steps as its owner sees them; none of a job of one call. `outputOf`: null where it is too long to be shown. */
export function stepsOf(
  job: Job,
  outputOf: (done: DoneStep, index: number) => string | null,
): StepView[] {
  return (job.spec.steps ?? []).map((step, index) => stepView(job, step, index, outputOf));
}

function stepView(
  job: Job,
  step: PlannedStep,
  index: number,
  outputOf: (done: DoneStep, index: number) => string | null,
): StepView {
  const attempts = job.attempts.filter((attempt) => attempt.step === index);
  const done = job.course?.done[index];
  const status = statusAt(job, index);
  const enteredAt = job.course?.done.length === index ? job.course.enteredAt : null;
  const startedAt = done?.startedAt ?? enteredAt;
  const isAsked = step.type === "approval" && startedAt !== null && done?.carried === undefined;
  return {
    name: step.name,
    type: step.type,
    weight: step.weight,
    status,
    attempts: attempts.length,
    started_at: startedAt === null ? null : iso(startedAt),
    completed_at: done === undefined ? null : iso(done.endedAt),
    ...(done === undefined ? {} : outputView(done, outputOf(done, index))),
    ...(step.type === "llm" ? callsView(job, attempts, done) : {}),
    ...(isAsked ? { request_id: requestIdAt(job.spec, index) } : {}),
    ...failureView(job, status, attempts),
  };
}

function statusAt(job: Job, index: number): StepStatus {
  const { done = [], enteredAt = null } = job.course ?? {};
  if (index < done.length)
    return done[index]?.input?.approved === false ? "cancelled" : "completed";
  const isNext = index === done.length;
  if (hasEnded(job) && !(isNext && enteredAt !== null)) return "skipped";
  if (!isNext || enteredAt === null) return "pending";
  if (job.status === "cancelled" || job.status === "failed") return job.status;
  return job.status === "waiting" ? "waiting" : "active";
}

function outputView({ bytes, carried }: DoneStep, output: string | null): Partial<StepView> {
  return {
    output_bytes: bytes,
    ...(output === null ? { truncated: true } : { output }),
    ...(carried === undefined ? {} : { carried }),
  };
}

/** What its calls came to, those for nothing included. */
function callsView(job: Job, attempts: Attempt[], done: DoneStep | undefined): Partial<StepView> {
  const last = attempts.at(-1);
  if (last === undefined) return {};
  const usages = attempts.flatMap(({ usage }) => usage ?? []);
  return {
    model: done?.model ?? routeOf(job, last)?.name ?? "",
    usage: usages.length === 0 ? null : sumOfUsage(usages),
    cost_usd: attempts.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0),
  };
}

function failureView(job: Job, status: StepStatus, attempts: Attempt[]): Partial<StepView> {
  const ended = status === "failed" && job.status === "failed" ? job.failure : null;
  const failure = ended ?? (status === "active" ? attempts.at(-1)?.failure : null) ?? null;
  return failure === null ? {} : { error: failure.message, error_code: failure.code };
}
