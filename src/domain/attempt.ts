import type { Part } from "./command.ts";
import { currentAttempt, type Attempt, type Job } from "./job.ts";

/** The attempt that begins with the job's next event. */
export function newAttempt(job: Job, now: number): Attempt {
  return {
    number: job.attempts.length + 1,
    route: job.route,
    outcome: "running",
    startedAt: now,
    startedSeq: job.seq + 1,
    endedAt: null,
    ttftMs: null,
    providerMs: null,
    usage: null,
    costUsd: null,
    failure: null,
  };
}

/** Keeps the lease two thirds full. It never outlives the attempt's own time by more than one lease. */
export function renew(job: Job, now: number): Job {
  const attempt = currentAttempt(job);
  if (job.status !== "active" || attempt === undefined) return job;
  const { leaseMs, timeoutMs } = job.spec;
  if (job.lease.expiresAt - now > (leaseMs * 2) / 3) return job;
  const expiresAt = Math.min(now + leaseMs, attempt.startedAt + timeoutMs + leaseMs);
  return { ...job, lease: { ...job.lease, expiresAt } };
}

/** The job once the current attempt has said this part. */
export function withText(job: Job, part: Part): Job {
  if (part.text === "") return job;
  const told = { ...job, appended: job.appended + 1 };
  const attempt = currentAttempt(job);
  if (attempt === undefined || attempt.ttftMs !== null) return told;
  return { ...told, attempts: replaceLast(job.attempts, { ...attempt, ttftMs: part.ttftMs }) };
}

/** The job once its current attempt is over. */
export function endAttempt(
  job: Job,
  end: Partial<Attempt> & Pick<Attempt, "outcome">,
  now: number,
): Job {
  const attempt = currentAttempt(job);
  if (attempt === undefined) return job;
  const ttftMs = end.ttftMs ?? attempt.ttftMs;
  return {
    ...job,
    attempts: replaceLast(job.attempts, { ...attempt, ...end, ttftMs, endedAt: now }),
  };
}

function replaceLast(attempts: Attempt[], attempt: Attempt): Attempt[] {
  return [...attempts.slice(0, -1), attempt];
}
