import { endAttempt, newAttempt, renew, withText } from "./attempt.ts";
import {
  ACCEPTS,
  type CallReport,
  type Command,
  type Effect,
  type Part,
  type Transition,
} from "./command.ts";
import { EXPIRED, STALLED, UNDELIVERABLE, type Failure } from "./failure.ts";
import {
  currentAttempt,
  dueAt,
  type Fact,
  type Job,
  type JobSpec,
  type LogEvent,
  type Phase,
} from "./job.ts";
import { retryDelayMs, ringDelayMs } from "./retry.ts";

/** How long the dead-letter consumer has before the job's own alarm says the last word, in milliseconds. */
const DEAD_LETTER_GRACE_MS = 15_000;

/** A job as it is accepted, with its first event. A job that is due rings at once; another when it is. */
export function accept(spec: JobSpec): Transition {
  const delayed = spec.runAt > spec.submittedAt;
  const job: Job = {
    spec,
    seq: 0,
    appended: 0,
    route: 0,
    attempts: [],
    progress: 0,
    step: null,
    status: "queued",
    readyAt: spec.runAt,
    ringAt: delayed ? spec.runAt : spec.submittedAt + ringDelayMs(1),
    rings: delayed ? 0 : 1,
  };
  const queued: Fact = { type: "queued", priority: spec.tier };
  const fact = delayed ? { ...queued, run_at: iso(spec.runAt) } : queued;
  return next(job, spec.submittedAt, [fact], delayed ? [] : [{ type: "ring" }]);
}

/**
 * The job after a command, its new events and what is to be done.
 *
 * Pure: the object owns the clock, the storage and the alarm. A caller applies `wake` first for as long as
 * `dueAt` has passed, so that what time has decided is decided before anybody speaks, however late the alarm.
 */
export function transition(job: Job, command: Command, now: number): Transition {
  if (!ACCEPTS[job.status].includes(command.type)) return { ok: false, reason: "illegal" };
  if (!holdsLease(job, command, now)) return { ok: false, reason: "fenced" };
  switch (command.type) {
    case "lease":
      return lease(job, command.token, now);
    case "append":
      return append(job, command, now);
    case "complete":
      return complete(job, command, now);
    case "fail":
      return afterFailure(job, command.failure, command.report, command.jitter, now);
    case "dead_letter":
      return deadLetter(job, now);
    case "cancel":
      return cancel(job, command.reason, now);
    case "wake":
      return wake(job, command.jitter, now);
  }
}

/** Commands that carry a token need the live lease with that very token; the others need none. */
function holdsLease(job: Job, command: Command, now: number): boolean {
  if (command.type === "lease" || !("token" in command)) return true;
  return job.status === "active" && job.lease.token === command.token && now < job.lease.expiresAt;
}

function lease(job: Job, token: string, now: number): Transition {
  if (job.status !== "queued") return { ok: false, reason: "illegal" };
  if (now < job.readyAt) return { ok: false, reason: "not_due" };
  const route = job.spec.routes[job.route];
  if (route === undefined) return { ok: false, reason: "illegal" };
  const attempt = newAttempt(job, now);
  const started = enter(job, {
    status: "active",
    lease: { token, expiresAt: now + job.spec.leaseMs },
  });
  return next({ ...started, appended: 0, attempts: [...job.attempts, attempt] }, now, [
    { type: "started", attempt: attempt.number, model: route.name, provider: route.provider },
    { type: "progress", progress: 10, step: "Starting LLM API call" },
  ]);
}

function append(job: Job, part: Part, now: number): Transition {
  if (part.part < job.appended) return next(job, now, []);
  // A gap means a part was lost on the way: nothing after it may be shown.
  if (part.part > job.appended) return { ok: false, reason: "fenced" };
  return next(renew(withText(job, part), now), now, deltaOf(job, part));
}

function complete(
  job: Job,
  command: Extract<Command, { type: "complete" }>,
  now: number,
): Transition {
  if (command.part > job.appended) return { ok: false, reason: "fenced" };
  // The last part was stored but its answer lost on the way, and it came again with the end.
  const fresh = command.part === job.appended;
  const told = fresh ? withText(job, command) : job;
  const ended = endAttempt(told, { outcome: "completed", ...command.report }, now);
  const completed = enter(ended, { status: "completed", endedAt: now, answer: command.answer });
  return next(completed, now, [
    ...(fresh ? deltaOf(job, command) : []),
    { type: "progress", progress: 80, step: "LLM response received" },
    { type: "progress", progress: 100, step: "Complete" },
    { type: "completed", result: command.answer },
  ]);
}

/** Another attempt at this model or the next one, or the end. */
function afterFailure(
  job: Job,
  failure: Failure,
  report: CallReport,
  jitter: number,
  now: number,
): Transition {
  const attempt = currentAttempt(job);
  if (attempt === undefined) return { ok: false, reason: "illegal" };
  const ended = endAttempt(job, { outcome: "failed", failure, ...report }, now);
  const retry = nextCall(ended, failure, jitter, now);
  const attemptFailed: Fact = {
    type: "attempt_failed",
    attempt: attempt.number,
    error: failure.message,
    error_code: failure.code,
    retry_at: retry === null ? null : iso(retry.readyAt),
  };
  if (retry === null) return giveUp(ended, failure, now, [attemptFailed]);
  const waiting = enter(
    { ...ended, route: retry.route },
    { status: "queued", readyAt: retry.readyAt, ringAt: retry.readyAt + ringDelayMs(1), rings: 1 },
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
  if (failure.remedy === "give_up") return null;
  const calls = job.attempts.filter((attempt) => attempt.route === job.route).length;
  if (failure.remedy === "retry" && calls < job.spec.maxAttempts) {
    // A consumer that died says nothing of the provider: no reason to wait.
    const delay =
      failure.code === "stalled"
        ? 0
        : retryDelayMs(calls, job.spec.backOff, failure.retryAfterMs, jitter);
    return { route: job.route, readyAt: now + delay };
  }
  return job.route + 1 < job.spec.routes.length ? { route: job.route + 1, readyAt: now } : null;
}

function giveUp(job: Job, failure: Failure, now: number, facts: Fact[]): Transition {
  const failing = enter(job, { status: "failing", failure, endAt: now + DEAD_LETTER_GRACE_MS });
  return next(failing, now, facts, [{ type: "dead_letter" }]);
}

/** The dead-letter consumer speaks: for a job that gave up, or one whose message the queue itself gave up on. */
function deadLetter(job: Job, now: number): Transition {
  return fail(job, job.status === "failing" ? job.failure : UNDELIVERABLE, now);
}

function fail(job: Job, failure: Failure, now: number): Transition {
  const failed = enter(job, { status: "failed", endedAt: now, failure });
  return next(failed, now, [
    {
      type: "failed",
      error: failure.message,
      error_code: failure.code,
      attempts: job.attempts.length,
    },
  ]);
}

function cancel(job: Job, reason: string, now: number): Transition {
  const ended = job.status === "active" ? endAttempt(job, { outcome: "cancelled" }, now) : job;
  const cancelled = enter(ended, { status: "cancelled", endedAt: now, reason });
  return next(cancelled, now, [{ type: "cancelled", reason }]);
}

/** What time alone brings about. Early, it changes nothing. */
function wake(job: Job, jitter: number, now: number): Transition {
  const due = now >= (dueAt(job) ?? Infinity);
  switch (job.status) {
    case "queued":
      if (due) return giveUp(job, currentAttempt(job)?.failure ?? EXPIRED, now, []);
      return now >= job.ringAt ? ring(job, now) : next(job, now, []);
    case "active":
      return due ? stall(job, jitter, now) : next(job, now, []);
    case "failing":
      return due ? fail(job, job.failure, now) : next(job, now, []);
    case "completed":
    case "failed":
    case "cancelled":
      return due ? purge(job, now) : next(job, now, []);
    case "purged":
      return due ? next(job, now, [], [{ type: "forget" }]) : next(job, now, []);
  }
}

function ring(job: Extract<Job, { status: "queued" }>, now: number): Transition {
  const rings = job.rings + 1;
  return next({ ...job, rings, ringAt: now + ringDelayMs(rings) }, now, [], [{ type: "ring" }]);
}

/** The lease ran out. Nobody is there to hear of the next attempt, so it rings for one itself. */
function stall(job: Job, jitter: number, now: number): Transition {
  const report = { ttftMs: null, providerMs: null, usage: null, costUsd: null };
  const after = afterFailure(job, STALLED, report, jitter, now);
  if (!after.ok || after.job.status !== "queued") return after;
  return { ...after, effects: [...after.effects, { type: "ring" }] };
}

/** Content goes at once; the id stays taken, and answers that it was here, for as long as its key. */
function purge(job: Job, now: number): Transition {
  const { spec } = job;
  const effect: Effect = { type: now < spec.keyExpiresAt ? "purge" : "forget" };
  const bare = enter(
    { ...job, attempts: [], step: null, spec: { ...spec, user: null, metadata: {} } },
    { status: "purged", purgedAt: now },
  );
  return next(bare, now, [], [effect]);
}

function deltaOf(job: Job, part: Part): Fact[] {
  const attempt = currentAttempt(job);
  if (part.text === "" || attempt === undefined) return [];
  return [{ type: "delta", delta: part.text, attempt: attempt.number }];
}

/** The job in another status, without what belonged to the one it leaves. */
function enter(job: Job, phase: Phase): Job {
  const { spec, seq, appended, route, attempts, progress, step } = job;
  return { spec, seq, appended, route, attempts, progress, step, ...phase };
}

/** Numbers the facts and keeps what a poll shows of the latest progress. */
function next(job: Job, now: number, facts: Fact[], effects: Effect[] = []): Transition {
  let { seq, progress, step } = job;
  const events = facts.map((fact): LogEvent => {
    if (fact.type === "progress") ({ progress, step } = fact);
    return { ...fact, seq: ++seq, at: iso(now) };
  });
  return { ok: true, job: { ...job, seq, progress, step }, events, effects };
}

function iso(instant: number): string {
  return new Date(instant).toISOString();
}
