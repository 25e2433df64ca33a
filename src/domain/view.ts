import { isCutByBudget } from "./budget.ts";
import { sumOfUsage } from "./cost.ts";
import { hasBegun, lastCall, routeOf, shownRoute, stepOf } from "./course.ts";
import { whatIsAsked } from "./advance.ts";
import type { Usage } from "../schema/chat.ts";
import type { AttemptView, JobStatus, JobView } from "../schema/job.ts";
import { secondsUntil } from "./estimate.ts";
import type { Forecast } from "./forecast.ts";
import { iso } from "./instant.ts";
import { currentAttempt, dlqIdOf, retainedUntil, type Attempt, type Job } from "./job.ts";

/** A job's status as its owner sees it: giving up is still its last activity. */
export function statusOf(job: Job): JobStatus {
  switch (job.status) {
    case "failing":
      return hasBegun(job) ? "active" : "queued";
    case "purged":
      return "cancelled";
    case "waiting":
      return "active";
    case "queued":
      return isBetweenSteps(job) ? "active" : "queued";
    case "active":
    case "completed":
    case "failed":
    case "cancelled":
      return job.status;
  }
}

/** Whether a queued job is on its way from one step to the next: one that waits to try again is not. */
function isBetweenSteps(job: Job): boolean {
  return job.course?.enteredAt != null && currentAttempt(job)?.outcome !== "failed";
}

/** When the first of its steps began or, of one call, the last attempt. What another job has done for it does not count. */
function startOf({ course }: Job, attempt: Attempt | undefined): number | undefined {
  if (course === undefined) return attempt?.startedAt;
  const first = course.done.find(({ carried }) => carried === undefined);
  return first?.startedAt ?? course.enteredAt ?? undefined;
}

/**
 * A job as its owner sees it, but for its text, which is in the log. The job knows of no line: one that is queued is taken to
 * be the next (`foreseenView`).
 */
export function viewOf(job: Job, now: number): JobView {
  const { spec } = job;
  const attempt = currentAttempt(job);
  const route = shownRoute(job);
  const startedAt = startOf(job, attempt);
  const until = retainedUntil(job);
  return {
    job_id: spec.id,
    status: statusOf(job),
    submitted_at: iso(spec.submittedAt),
    model: route.name,
    provider: route.provider,
    priority: spec.tier,
    priority_level: spec.priorityLevel,
    progress: job.progress,
    step: job.step,
    attempts_made: job.attempts.length,
    last_seq: job.seq,
    user: spec.user,
    metadata: spec.metadata,
    batch_id: spec.batch?.id ?? null,
    replay_of: spec.replayOf,
    ...batchPlace(job),
    ...costsOf(job.attempts),
    ...(spec.maxCostUsd === undefined ? {} : { max_cost_usd: spec.maxCostUsd }),
    ...(startedAt === undefined ? {} : { started_at: iso(startedAt) }),
    ...phaseView(job, attempt, now),
    ...(until === null ? {} : { retained_until: iso(until) }),
  };
}

/** The view of a queued job, with what is known of its line. */
export function foreseenView(view: JobView, { position, seconds }: Forecast): JobView {
  return { ...view, queue_position: position, estimated_wait: seconds };
}

function phaseView(job: Job, attempt: Attempt | undefined, now: number): Partial<JobView> {
  switch (job.status) {
    case "queued":
      if (isBetweenSteps(job)) return {};
      return {
        ...(job.attempts.length > 0 ? { retry_at: iso(job.readyAt) } : runAt(job)),
        queue_position: 0,
        estimated_wait: secondsUntil(job.readyAt, now),
      };
    case "completed":
      return {
        completed_at: iso(job.endedAt),
        processing_time_ms: job.endedAt - (startOf(job, attempt) ?? job.endedAt) - waitedOf(job),
        timings: timings(job),
      };
    case "failed":
      return {
        error: job.failure.message,
        error_code: job.failure.code,
        failed_at: iso(job.endedAt),
        dlq_id: dlqIdOf(job.spec),
        ...(isCutByBudget(job) ? { usage: usageOf(job.attempts) } : {}),
      };
    case "cancelled":
      return {
        cancelled_at: iso(job.endedAt),
        reason: job.reason,
        usage: usageOf(job.attempts),
      };
    case "waiting":
      return { waiting_for: waitingFor(job) };
    case "active":
    case "failing":
    case "purged":
      return {};
  }
}

function waitedOf({ course }: Job): number {
  return course?.waitedMs ?? 0;
}

function waitingFor(job: Extract<Job, { status: "waiting" }>): NonNullable<JobView["waiting_for"]> {
  return {
    type: "approval",
    step: stepOf(job)?.name ?? "",
    request_id: whatIsAsked(job) ?? "",
    message: job.message,
    expires_at: iso(job.expiresAt),
  };
}

/**
 * Whether a job shows the text that has not become a result: that of an attempt that runs, that was cancelled, or that
 * reached the job's budget.
 */
export function partIsShown(job: Job): boolean {
  const isOpen = job.status === "active" || job.status === "failing";
  return isOpen || job.status === "cancelled" || isCutByBudget(job);
}

/**
 * Whether there is none: a job that was cancelled while no attempt ran, or that has come to a step without one. What
 * earlier ones said is void, or another step's.
 */
export function partIsVoid({ status, course, ...job }: Job): boolean {
  const attempt = job.attempts.at(-1);
  if (course !== undefined && attempt?.step !== course.done.length) return true;
  return status === "cancelled" && attempt?.outcome !== "cancelled";
}

/** A job's calls as its owner sees them, in their order. */
export function attemptsOf(job: Job): AttemptView[] {
  return job.attempts.map((attempt) => {
    const { failure, endedAt } = attempt;
    const route = routeOf(job, attempt);
    const step = job.spec.steps?.[attempt.step ?? -1];
    return {
      attempt: attempt.number,
      ...(step === undefined ? {} : { step: step.name }),
      model: route?.name ?? "",
      provider: route?.provider ?? "",
      status: attempt.outcome === "running" ? "active" : attempt.outcome,
      started_at: iso(attempt.startedAt),
      ended_at: endedAt === null ? null : iso(endedAt),
      usage: attempt.usage,
      cost_usd: attempt.costUsd,
      ...(failure === null ? {} : { error: failure.message, error_code: failure.code }),
      timings: { ttft_ms: attempt.ttftMs, provider_ms: attempt.providerMs },
    };
  });
}

function usageOf(attempts: Attempt[]): Usage {
  return sumOfUsage(attempts.flatMap(({ usage }) => usage ?? []));
}

function batchPlace({ spec }: Job): Partial<JobView> {
  if (spec.batch === undefined) return {};
  return { batch_index: spec.batch.index, batch_total: spec.batch.total };
}

function runAt(job: Job): Partial<JobView> {
  return job.spec.runAt > job.spec.submittedAt ? { run_at: iso(job.spec.runAt) } : {};
}

function timings(job: Job): NonNullable<JobView["timings"]> {
  const call = lastCall(job);
  const first = startOf(job, job.attempts[0]) ?? job.spec.runAt;
  return {
    queue_ms: Math.max(0, first - job.spec.runAt),
    ttft_ms: call?.ttftMs ?? null,
    provider_ms: call?.providerMs ?? null,
  };
}

/** The calls that gave the answer, one a step, and apart from it those whose answers were lost. */
export function costsOf(attempts: Attempt[]): Pick<JobView, "cost_usd" | "wasted_cost_usd"> {
  const answered = attempts.filter((attempt) => attempt.outcome === "completed");
  const wasted = attempts
    .filter((attempt) => attempt.outcome === "failed" || attempt.outcome === "cancelled")
    .reduce((sum, attempt) => sum + (attempt.costUsd ?? 0), 0);
  return { cost_usd: sumOf(answered), wasted_cost_usd: wasted };
}

/** Null of none, and where what one of them cost is not known. */
function sumOf(attempts: Attempt[]): number | null {
  const costs = attempts.flatMap(({ costUsd }) => costUsd ?? []);
  if (costs.length === 0 || costs.length < attempts.length) return null;
  return costs.reduce((sum, cost) => sum + cost, 0);
}
