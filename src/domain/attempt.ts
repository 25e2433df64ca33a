import type { CallReport, Part } from "./command.ts";
import { costOf, estimatedUsage } from "./cost.ts";
import { promptTokensAt, routeOf, timeoutOf } from "./course.ts";
import type { Usage } from "../schema/chat.ts";
import type { Failure } from "./failure.ts";
import { currentAttempt, type Attempt, type Job } from "./job.ts";

const encoder = new TextEncoder();

/** The attempt that begins with the event `startedSeq`. */
export function newAttempt(job: Job, token: string, startedSeq: number, now: number): Attempt {
  return {
    number: job.attempts.length + 1,
    route: job.route,
    ...(job.course === undefined ? {} : { step: job.course.done.length }),
    token,
    outcome: "running",
    startedAt: now,
    startedSeq,
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
  const { leaseMs } = job.spec;
  if (job.lease.expiresAt - now > (leaseMs * 2) / 3) return job;
  const expiresAt = Math.min(now + leaseMs, attempt.startedAt + timeoutOf(job) + leaseMs);
  return { ...job, lease: { ...job.lease, expiresAt } };
}

/** The job once the current attempt has said this part. */
export function withText(job: Job, part: Part): Job {
  if (part.text === "") return job;
  const said = job.said + encoder.encode(part.text).byteLength;
  const told = { ...job, appended: job.appended + 1, said };
  const attempt = currentAttempt(job);
  if (attempt === undefined || attempt.ttftMs !== null) return told;
  return { ...told, attempts: replaceLast(job.attempts, { ...attempt, ttftMs: part.ttftMs }) };
}

/** A call of which its consumer said nothing. That it was made must be assumed. */
export const UNREPORTED: CallReport = {
  ttftMs: null,
  providerMs: null,
  usage: null,
  taken: true,
  answerBytes: null,
};

/** The job once its current attempt is over. */
export function endAttempt(
  job: Job,
  end: Pick<Attempt, "outcome"> & { failure?: Failure },
  report: CallReport,
  now: number,
): Job {
  const attempt = currentAttempt(job);
  if (attempt === undefined) return job;
  const ended: Attempt = {
    ...attempt,
    outcome: end.outcome,
    failure: end.failure ?? null,
    endedAt: now,
    ttftMs: report.ttftMs ?? attempt.ttftMs,
    providerMs: report.providerMs,
    ...metered(job, attempt, report),
  };
  return { ...job, attempts: replaceLast(job.attempts, ended) };
}

/** The job once the consumer of a stopped attempt has told what its call came to; null if that is known already. */
export function accounted(job: Job, token: string, report: CallReport): Job | null {
  const at = job.attempts.findIndex((attempt) => attempt.token === token);
  const attempt = job.attempts[at];
  const estimated = attempt?.usage?.estimated === true;
  if (attempt === undefined || attempt.outcome === "running" || !estimated) return null;
  if (report.usage === null && report.taken) return null;
  const { ttftMs, providerMs } = report;
  const measured = { ...attempt, ttftMs: ttftMs ?? attempt.ttftMs, providerMs };
  const told = { ...measured, ...metered(job, attempt, report) };
  return { ...job, attempts: job.attempts.with(at, told) };
}

/** What a call came to: as the provider reported it or, where it may bill without a report, as estimated. */
function metered(
  job: Job,
  attempt: Attempt,
  report: CallReport,
): { usage: Usage | null; costUsd: number | null } {
  const step = job.spec.steps?.[attempt.step ?? -1];
  // A step that calls no model has nothing to be estimated.
  const isCall = step === undefined || step.type === "llm";
  if (!isCall || (report.usage === null && !report.taken)) return { usage: null, costUsd: 0 };
  const promptTokens = promptTokensAt(job, attempt.step);
  const usage = report.usage ?? estimatedUsage(promptTokens, report.answerBytes ?? job.said);
  return { usage, costUsd: costOf(routeOf(job, attempt)?.price ?? null, usage) };
}

function replaceLast(attempts: Attempt[], attempt: Attempt): Attempt[] {
  return [...attempts.slice(0, -1), attempt];
}
