import { endAttempt, UNREPORTED } from "./attempt.ts";
import { bareBill } from "./bill.ts";
import { tokensLeft } from "./budget.ts";
import { afterWaiting, attemptsAtStep, lifeEndsAt, maxAttemptsOf, routesOf } from "./course.ts";
import type { CallReport, Effect, Transition } from "./command.ts";
import { iso } from "./instant.ts";
import { OVER_BUDGET, STALLED, type Failure } from "./failure.ts";
import { currentAttempt, hasLetter, type Fact, type Job, type JobSpec, type Ring } from "./job.ts";
import { retryDelayMs } from "./retry.ts";
import { enter, next, rung } from "./next.ts";

/** How long the dead-letter consumer has before the job's own alarm says the last word, in milliseconds. */
const DEAD_LETTER_GRACE_MS = 15_000;

/** Another attempt at this model or the next one, or the end. */
export function afterFailure(
  job: Job,
  failure: Failure,
  report: CallReport,
  jitter: number,
  now: number,
): Transition {
  const attempt = currentAttempt(job);
  if (attempt === undefined) return { ok: false, reason: "illegal" };
  const ended = endAttempt(job, { outcome: "failed", failure }, report, now);
  const call = nextCall(ended, failure, jitter, now);
  // Decided now: a job that waited for its call first would hold a place, and a permit, for nothing.
  const isPaidFor = call === null || tokensLeft({ ...ended, route: call.route }) >= 1;
  const retry = isPaidFor ? call : null;
  const attemptFailed: Fact = {
    type: "attempt_failed",
    attempt: attempt.number,
    error: failure.message,
    error_code: failure.code,
    retry_at: retry === null ? null : iso(retry.readyAt),
  };
  if (retry === null) return giveUp(ended, isPaidFor ? failure : OVER_BUDGET, now, [attemptFailed]);
  const waiting = enter(
    { ...ended, route: retry.route },
    { status: "queued", readyAt: retry.readyAt, ...rung(0, retry.readyAt) },
  );
  return next(waiting, now, [attemptFailed]);
}

/** Which model is called next and when; null if none. */
function nextCall(
  job: Job,
  failure: Failure,
  jitter: number,
  now: number,
): { route: number; readyAt: number } | null {
  if (failure.remedy === "give_up" || stallsOf(job) > job.spec.maxStalls) return null;
  const next = callAfter(job, failure, jitter, now);
  return next === null || next.readyAt >= lifeEndsAt(job) ? null : next;
}

function stallsOf(job: Job): number {
  return attemptsAtStep(job).filter(({ failure }) => failure?.code === STALLED.code).length;
}

function callAfter(
  job: Job,
  failure: Failure,
  jitter: number,
  now: number,
): { route: number; readyAt: number } | null {
  const calls = attemptsAtStep(job).filter((attempt) => attempt.route === job.route).length;
  if (failure.remedy === "retry" && calls < maxAttemptsOf(job)) {
    // A consumer that died says nothing of the provider: no reason to wait.
    const delay =
      failure.code === "stalled"
        ? 0
        : retryDelayMs(calls, job.spec.backOff, failure.retryAfterMs, jitter);
    return { route: job.route, readyAt: now + delay };
  }
  return job.route + 1 < routesOf(job).length ? { route: job.route + 1, readyAt: now } : null;
}

export function giveUp(job: Job, failure: Failure, now: number, facts: Fact[]): Transition {
  const failing = enter(job, { status: "failing", failure, endAt: now + DEAD_LETTER_GRACE_MS });
  return next(failing, now, facts, [{ type: "dead_letter" }]);
}

/** The dead letter is written: a job that gave up fails, and one that failed without it owes it no longer. */
export function deadLetter(job: Job, now: number): Transition {
  if (job.status === "failing") return fail(job, job.failure, null, now);
  return job.status === "failed"
    ? next({ ...job, letter: null }, now, [])
    : { ok: false, reason: "illegal" };
}

export function fail(job: Job, failure: Failure, letter: Ring | null, now: number): Transition {
  const failed = enter(job, { status: "failed", endedAt: now, failure, letter });
  const effects: Effect[] = letter === null ? [] : [{ type: "dead_letter" }];
  const { message: error, code: error_code } = failure;
  const fact: Fact = { type: "failed", error, error_code, attempts: job.attempts.length };
  return next(failed, now, [fact], effects);
}

/** `facts`: what comes before the end. */
export function cancel(job: Job, reason: string, now: number, facts: Fact[] = []): Transition {
  const ended =
    job.status === "active"
      ? endAttempt(job, { outcome: "cancelled" }, UNREPORTED, now)
      : afterWaiting(job, now);
  const letterToo = hasLetter(job);
  const cancelled = enter(ended, { status: "cancelled", endedAt: now, reason, letterToo });
  return next(cancelled, now, [...facts, { type: "cancelled", reason }]);
}

/** Content goes at once; the id stays taken, and answers that it was here, for as long as its key. */
export function purge(job: Job, letterToo: boolean, now: number): Transition {
  const { spec } = job;
  const effect: Effect = { type: now < spec.keyExpiresAt ? "purge" : "forget" };
  const { course: _, ...rest } = job;
  const bare = enter(
    { ...rest, attempts: [], step: null, outbox: [], spec: bareSpec(spec) },
    { status: "purged", purgedAt: now, letterToo, bill: bareBill(job) },
  );
  return next(bare, now, [], [effect]);
}

/** Without what its owner said. Nobody is told of it any more either, so the webhook goes too. */
function bareSpec(spec: JobSpec): JobSpec {
  const { webhook: _, steps: __, ...rest } = spec;
  return { ...rest, user: null, metadata: {} };
}
