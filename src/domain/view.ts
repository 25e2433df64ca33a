import { isCutByBudget } from "./budget.ts";
import { sumOfUsage } from "./cost.ts";
import type { Usage } from "../schema/chat.ts";
import type { AttemptView, JobStatus, JobView } from "../schema/job.ts";
import { estimatedWaitSeconds } from "./estimate.ts";
import { iso } from "./instant.ts";
import { currentAttempt, dlqIdOf, retainedUntil, type Attempt, type Job } from "./job.ts";

/** A job's status as its owner sees it: giving up is still its last activity. */
export function statusOf(job: Job): JobStatus {
  switch (job.status) {
    case "failing":
      return job.attempts.length === 0 ? "queued" : "active";
    case "purged":
      return "cancelled";
    case "queued":
    case "active":
    case "completed":
    case "failed":
    case "cancelled":
      return job.status;
  }
}

/**
 * A job as its owner sees it, but for its text, which is in the log.
 *
 * `backlog`: messages waiting in its lane, as last heard.
 */
export function viewOf(job: Job, now: number, backlog: number): JobView {
  const { spec } = job;
  const attempt = currentAttempt(job);
  const route = spec.routes[job.route];
  const until = retainedUntil(job);
  return {
    job_id: spec.id,
    status: statusOf(job),
    submitted_at: iso(spec.submittedAt),
    model: route?.name ?? "",
    provider: route?.provider ?? "",
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
    ...costs(job.attempts),
    ...(spec.maxCostUsd === undefined ? {} : { max_cost_usd: spec.maxCostUsd }),
    ...(attempt === undefined ? {} : { started_at: iso(attempt.startedAt) }),
    ...phaseView(job, attempt, now, backlog),
    ...(until === null ? {} : { retained_until: iso(until) }),
  };
}

function phaseView(
  job: Job,
  attempt: Attempt | undefined,
  now: number,
  backlog: number,
): Partial<JobView> {
  switch (job.status) {
    case "queued":
      return {
        ...(job.attempts.length > 0 ? { retry_at: iso(job.readyAt) } : runAt(job)),
        queue_position: backlog,
        estimated_wait: estimatedWaitSeconds(backlog, job.readyAt - now),
      };
    case "completed":
      return {
        completed_at: iso(job.endedAt),
        processing_time_ms: job.endedAt - (attempt?.startedAt ?? job.endedAt),
        timings: timings(job, attempt),
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
    case "active":
    case "failing":
    case "purged":
      return {};
  }
}

/**
 * Whether a job shows the text that has not become a result: that of an attempt that runs, that was cancelled, or that
 * reached the job's budget.
 */
export function partIsShown(job: Job): boolean {
  const isOpen = job.status === "active" || job.status === "failing";
  return isOpen || job.status === "cancelled" || isCutByBudget(job);
}

/** Whether there is none: a job that was cancelled while no attempt ran. What earlier ones said is void. */
export function partIsVoid(job: Job): boolean {
  return job.status === "cancelled" && currentAttempt(job)?.outcome !== "cancelled";
}

/** A job's calls as its owner sees them, in their order. */
export function attemptsOf(job: Job): AttemptView[] {
  return job.attempts.map((attempt) => {
    const { failure, endedAt } = attempt;
    const route = job.spec.routes[attempt.route];
    return {
      attempt: attempt.number,
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

function timings(job: Job, attempt: Attempt | undefined): NonNullable<JobView["timings"]> {
  const first = job.attempts[0]?.startedAt ?? job.spec.runAt;
  return {
    queue_ms: Math.max(0, first - job.spec.runAt),
    ttft_ms: attempt?.ttftMs ?? null,
    provider_ms: attempt?.providerMs ?? null,
  };
}

/** The call that gave the answer, and apart from it those whose answers were lost. */
function costs(attempts: Attempt[]): Pick<JobView, "cost_usd" | "wasted_cost_usd"> {
  const answered = attempts.find((attempt) => attempt.outcome === "completed");
  const wasted = attempts
    .filter((attempt) => attempt.outcome === "failed" || attempt.outcome === "cancelled")
    .reduce((sum, attempt) => sum + (attempt.costUsd ?? 0), 0);
  return { cost_usd: answered?.costUsd ?? null, wasted_cost_usd: wasted };
}
