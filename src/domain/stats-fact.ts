import { sumOfUsage } from "./cost.ts";
import { lastCall, modelOf, providerOf, shownRoute, timeoutOf } from "./course.ts";
import type { Job, LogEvent } from "./job.ts";
import type { JobEnded, StatsFact } from "./stats.ts";
import { viewOf } from "./view.ts";

/**
 * What the statistics are told of an event of a job, if anything.
 *
 * `name`: of the job's object. `job`: as it is after the transition that the event is of.
 */
export function statsFactOf(name: string, job: Job, event: LogEvent): StatsFact | null {
  const { spec } = job;
  switch (event.type) {
    case "started": {
      const startedAt = Date.parse(event.at);
      const queueMs = event.attempt === 1 ? sinceDue(job, startedAt) : null;
      // A lease is never renewed beyond the attempt's own time by more than one lease.
      const expiresAt = startedAt + timeoutOf(job) + spec.leaseMs;
      return { type: "started", job: name, lane: spec.lane, queueMs, expiresAt };
    }
    case "attempt_failed":
      // The last one is told with the job's end.
      if (event.retry_at === null) return null;
      return { type: "retried", job: name, errorCode: event.error_code };
    case "completed":
    case "cancelled":
      return ended(name, job, { status: event.type, errorCode: null }, event.at);
    case "failed":
      return ended(name, job, { status: event.type, errorCode: event.error_code }, event.at);
    case "queued":
    case "progress":
    case "step_started":
    case "step_completed":
    case "delta":
      return null;
  }
}

function ended(
  name: string,
  job: Job,
  end: Pick<JobEnded, "status" | "errorCode">,
  at: string,
): JobEnded {
  const { spec } = job;
  const usage = sumOfUsage(job.attempts.flatMap(({ usage }) => usage ?? []));
  const { cost_usd, wasted_cost_usd } = viewOf(job, Date.parse(at));
  return {
    type: "ended",
    job: name,
    tenant: spec.tenant,
    model: modelOf(spec),
    provider: spec.steps === undefined ? providerOf(job) : shownRoute(job).provider,
    ...end,
    ttftMs: lastCall(job)?.ttftMs ?? null,
    totalMs: sinceDue(job, Date.parse(at)),
    costUsd: cost_usd,
    wastedCostUsd: wasted_cost_usd,
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
  };
}

/** Milliseconds. What a person took to answer says nothing of the service. */
function sinceDue({ spec, course }: Job, instant: number): number {
  return Math.max(0, instant - spec.runAt - (course?.waitedMs ?? 0));
}
