import { advance, ask, carriedOver, entering, input } from "./advance.ts";
import { accounted, endAttempt, newAttempt, renew, withText } from "./attempt.ts";
import { tokensLeft } from "./budget.ts";
import { iso } from "./instant.ts";
import { ACCEPTS, type Command, type Effect, type Part, type Transition } from "./command.ts";
import { isAtApproval, newCourse, nextRoute, permittedBy, readsTooMuch, stepOf } from "./course.ts";
import { afterFailure, cancel, deadLetter, giveUp, purge } from "./end.ts";
import { OVER_BUDGET, READS_TOO_MUCH, UNDELIVERABLE } from "./failure.ts";
import { currentAttempt, hasLetter, type Fact, type Job, type JobSpec } from "./job.ts";
import { attempted, replayed, type Delivery } from "./outbox.ts";
import { ringDelayMs } from "./retry.ts";
import { enter, next } from "./next.ts";
import { ring, wake } from "./wake.ts";

/**
 * A job as it is accepted, with its first event. A job that is due rings at once; another when it is.
 *
 * `carried`: the bytes of the outputs of its first steps, which the job that it repeats has finished.
 */
export function accept(spec: JobSpec, carried: number[] = []): Transition {
  const delayed = spec.runAt > spec.submittedAt;
  const facts = carriedOver(spec, carried);
  const job: Job = {
    spec,
    seq: 0,
    appended: 0,
    said: 0,
    route: 0,
    attempts: [],
    progress: 0,
    step: null,
    ...newCourse(spec, carried),
    outbox: [],
    status: "queued",
    readyAt: spec.runAt,
    ringAt: delayed ? spec.runAt : spec.submittedAt + ringDelayMs(1),
    rings: delayed ? 0 : 1,
  };
  const queued: Fact = { type: "queued", priority: spec.tier };
  const fact = delayed ? { ...queued, run_at: iso(spec.runAt) } : queued;
  const isRung = !delayed && !isAtApproval(job);
  return next(job, spec.submittedAt, [fact, ...facts], isRung ? [{ type: "ring" }] : []);
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
  const result = decide(job, command, now);
  // Who asks for a lease has a permit, and has waited for it.
  return command.type === "lease" ? result : withdrawing(job, result, now);
}

/** One that was due and is neither queued nor called any more leaves its turn to others. */
function withdrawing(before: Job, result: Transition, now: number): Transition {
  if (!result.ok || before.status !== "queued" || now < before.readyAt) return result;
  if (result.job.status === "queued" || result.job.status === "active") return result;
  const provider = permittedBy(before);
  if (provider === null) return result;
  const withdraw: Effect = { type: "withdraw", provider, since: before.readyAt };
  return { ...result, effects: [...result.effects, withdraw] };
}

function decide(job: Job, command: Command, now: number): Transition {
  switch (command.type) {
    case "lease":
      return lease(job, command.token, now);
    case "append":
      return append(job, command, now);
    case "complete":
      return complete(job, command, now);
    case "fail":
      return afterFailure(job, command.failure, command.report, command.jitter, now);
    case "account":
      return account(job, command, now);
    case "give_up":
      return undelivered(job, now);
    case "dead_letter":
      return deadLetter(job, now);
    case "ask":
      return ask(job, command.message, now);
    case "input":
      return input(job, command, now);
    case "cancel":
      return cancel(job, command.reason, now);
    case "delete":
      // A cancelled job may have given up before, and its letter may have been on the way.
      return purge(job, hasLetter(job), now);
    case "settle":
      return settle(job, command, now);
    case "replay":
      return replay(job, command.deliveryId, now);
    case "wake":
      return wake(job, command.jitter, now);
  }
}

/** What an attempt reports needs the live lease with its very token; an account is taken when the lease is long over. */
function holdsLease(job: Job, command: Command, now: number): boolean {
  if (command.type === "lease" || command.type === "account") return true;
  if (!("token" in command) || command.type === "settle") return true;
  return job.status === "active" && job.lease.token === command.token && now < job.lease.expiresAt;
}

function lease(job: Job, token: string, now: number): Transition {
  if (job.status !== "queued") return { ok: false, reason: "illegal" };
  if (now < job.readyAt) return { ok: false, reason: "not_due" };
  const route = nextRoute(job);
  if (route === undefined || isAtApproval(job)) return { ok: false, reason: "illegal" };
  if (tokensLeft(job) < 1) return giveUp(job, OVER_BUDGET, now, []);
  if (readsTooMuch(job)) return giveUp(job, READS_TOO_MUCH, now, []);
  const entered = entering(job, now);
  const attempt = newAttempt(job, token, job.seq + entered.facts.length + 1, now);
  const started = enter(entered.job, {
    status: "active",
    lease: { token, expiresAt: now + job.spec.leaseMs },
  });
  const { number, step } = attempt;
  const progress: Fact[] =
    step === undefined ? [{ type: "progress", progress: 10, step: "Starting LLM API call" }] : [];
  return next({ ...started, appended: 0, said: 0, attempts: [...job.attempts, attempt] }, now, [
    ...entered.facts,
    { type: "started", attempt: number, model: route.name, provider: route.provider },
    ...progress,
  ]);
}

/** A job of several steps may make more attempts than the queue delivers a message: then it needs another one, and no end. */
function undelivered(job: Job, now: number): Transition {
  const isSpent = job.course !== undefined && job.attempts.length > 0;
  if (isSpent && job.status === "queued") return ring(job, now);
  return giveUp(job, UNDELIVERABLE, now, []);
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
  const ended = endAttempt(told, { outcome: "completed" }, command.report, now);
  const said = fresh ? deltaOf(job, command) : [];
  const { course } = ended;
  if (course !== undefined) {
    const attempt = currentAttempt(ended)?.number ?? null;
    const named = stepOf(ended)?.type === "llm" ? { model: command.answer.model } : {};
    const finished = { attempt, bytes: ended.said, ...named };
    return advance({ ...ended, course }, finished, command.answer, said, now);
  }
  const answer = { ...command.answer, usage: currentAttempt(ended)?.usage ?? null };
  const completed = enter(ended, { status: "completed", endedAt: now, answer });
  return next(completed, now, [
    ...said,
    { type: "progress", progress: 80, step: "LLM response received" },
    { type: "progress", progress: 100, step: "Complete" },
    { type: "completed", result: answer },
  ]);
}

function account(
  job: Job,
  { token, report }: Extract<Command, { type: "account" }>,
  now: number,
): Transition {
  const told = accounted(job, token, report);
  return told === null ? { ok: false, reason: "illegal" } : next(told, now, []);
}

/** How an attempt at a delivery went. Told twice, it changes nothing. */
function settle(job: Job, command: Extract<Command, { type: "settle" }>, now: number): Transition {
  const outbox = attempted(job.outbox, command, command.jitter, now);
  const of = ({ id }: Delivery) => id === command.deliveryId;
  const gaveUp = outbox.find(of)?.status === "failed" && job.outbox.find(of)?.status !== "failed";
  return next(
    { ...job, outbox },
    now,
    [],
    gaveUp ? [{ type: "undelivered", deliveryId: command.deliveryId }] : [],
  );
}

function replay(job: Job, deliveryId: string, now: number): Transition {
  const outbox = replayed(job.outbox, deliveryId, now);
  return next({ ...job, outbox }, now, [], outbox === job.outbox ? [] : [{ type: "deliver" }]);
}

function deltaOf(job: Job, part: Part): Fact[] {
  const attempt = currentAttempt(job);
  if (part.text === "" || attempt === undefined) return [];
  return [{ type: "delta", delta: part.text, attempt: attempt.number }];
}
