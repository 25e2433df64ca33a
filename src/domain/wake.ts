import { UNREPORTED } from "./attempt.ts";
import type { Transition } from "./command.ts";
import { afterWaiting, hasBegun, isAtApproval, lifeEndsAt } from "./course.ts";
import { afterFailure, fail, giveUp, purge } from "./end.ts";
import { EXPIRED, OVERDUE, STALLED, UNANSWERED, type Failure } from "./failure.ts";
import { currentAttempt, dueAt, type Job, type Ring } from "./job.ts";
import { rungOutbox } from "./outbox.ts";
import { next, rung } from "./next.ts";

/** What time alone brings about. Early, it changes nothing. */
export function wake(job: Job, jitter: number, now: number): Transition {
  const outbox = rungOutbox(job.outbox, now);
  const woken = wakePhase({ ...job, outbox }, jitter, now);
  if (!woken.ok || outbox === job.outbox) return woken;
  return { ...woken, effects: [...woken.effects, { type: "deliver" }] };
}

function wakePhase(job: Job, jitter: number, now: number): Transition {
  const due = now >= (dueAt(job) ?? Infinity);
  switch (job.status) {
    case "queued":
      if (due) return giveUp(job, lateness(job), now, []);
      return now >= job.ringAt ? ring(job, now) : next(job, now, []);
    case "active":
      return due ? overrun(job, jitter, now) : next(job, now, []);
    case "waiting":
      return due ? giveUp(afterWaiting(job, now), UNANSWERED, now, []) : next(job, now, []);
    case "failing":
      return due ? fail(job, job.failure, rung(0, now), now) : next(job, now, []);
    case "failed":
      if (job.letter !== null) return letterOwed(job, job.letter, now);
      return due ? purge(job, false, now) : next(job, now, []);
    case "completed":
    case "cancelled":
      return due ? purge(job, false, now) : next(job, now, []);
    case "purged":
      return due ? next(job, now, [], [{ type: "forget" }]) : next(job, now, []);
  }
}

/** Why a job that waits for an attempt gets none any more. */
function lateness(job: Job): Failure {
  return hasBegun(job) ? (currentAttempt(job)?.failure ?? OVERDUE) : EXPIRED;
}

/** For an approval nobody is rung for: the job asks by itself. */
export function ring(job: Extract<Job, { status: "queued" }>, now: number): Transition {
  const rings = { ...job, ...rung(job.rings, now) };
  return next(rings, now, [], isAtApproval(job) ? [] : [{ type: "ring" }]);
}

function letterOwed(
  job: Extract<Job, { status: "failed" }>,
  letter: Ring,
  now: number,
): Transition {
  if (now < letter.ringAt) return next(job, now, []);
  return next({ ...job, letter: rung(letter.rings, now) }, now, [], [{ type: "dead_letter" }]);
}

/** The lease ran out, or the job's whole time. Nobody is there to hear of the next attempt, so it rings for one itself. */
function overrun(job: Extract<Job, { status: "active" }>, jitter: number, now: number): Transition {
  const failure = now >= lifeEndsAt(job) ? OVERDUE : STALLED;
  const after = afterFailure(job, failure, UNREPORTED, jitter, now);
  if (!after.ok || after.job.status !== "queued") return after;
  return { ...after, effects: [...after.effects, { type: "ring" }] };
}
