import type { Command } from "../../src/domain/command.ts";
import {
  dueAt,
  hasEnded,
  wakeAt,
  type Attempt,
  type Job,
  type LogEvent,
} from "../../src/domain/job.ts";
import { viewOf } from "../../src/domain/view.ts";
import {
  boundsNow,
  routesNow,
  sinceLastStep,
  stepNow,
  stepsDone,
  waitedFor,
} from "./course-observed.ts";
import { MINUTE, type Taken } from "./fixtures.ts";
import { billed, isPaidFor } from "./meter.ts";
import type { World } from "./world.ts";

/** The longest a lost queue message may go unrepeated. */
const LONGEST_RING_MS = 15 * MINUTE;

/** Fails with the number of the design's invariant that does not hold. */
export function law(invariant: number, holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`invariant ${invariant}: ${what}`);
}

export function isOver(job: Job): boolean {
  return hasEnded(job) || job.status === "purged";
}

/** What must hold of every command that was taken, given the world before it. */
export function lawsOfAStep(world: World, result: Taken, command: Command | null): void {
  const { job, events } = result;
  oneEnd(world, job, events);
  alwaysAnAlarm(world, job, events);
  nothingAfterItsLife(world, events);
  countedAttempts(world, events);
  everyStepOnce(world, job, events);
  everyLetterWritten(world, result, command);
  gaplessLog(world, job, events);
  oneAttemptsText(world, job, events);
  countedOnce(world, job);
  everyEndOwed(world, result, command);
}

function oneEnd({ job: before }: World, job: Job, events: LogEvent[]): void {
  if (isOver(before)) {
    const same = job.status === before.status || job.status === "purged";
    law(1, same && events.length === 0, `${before.status} is final, but went to ${job.status}`);
    return;
  }
  law(1, job.status !== "purged", "nothing is purged before it ended");
  const ends = events.filter(({ type }) => ["completed", "failed", "cancelled"].includes(type));
  law(1, ends.length === (hasEnded(job) ? 1 : 0), "a job ends with exactly one terminal event");
  if (ends.length > 0) law(1, events.at(-1)?.type === job.status, "the terminal event is the last");
}

function alwaysAnAlarm(world: World, job: Job, events: LogEvent[]): void {
  const { now, spec, log } = world;
  law(2, Number.isFinite(wakeAt(job)), `${job.status} has an alarm`);
  if (job.status === "queued") {
    const latest = Math.max(now, job.readyAt) + LONGEST_RING_MS;
    law(2, job.ringAt <= latest, "a lost message is repeated within a quarter of an hour");
  }
  if (job.status === "active") {
    law(2, job.lease.expiresAt <= now + spec.leaseMs, "a lease ends a lease after the last word");
    const start = events.findLast(isStart) ?? log.findLast(isStart);
    const latest = Date.parse(start?.at ?? "") + boundsNow(world).timeoutMs + spec.leaseMs;
    law(2, job.lease.expiresAt <= latest, "an attempt outlives its time by one lease at most");
  }
}

function nothingAfterItsLife({ now, spec, log }: World, events: LogEvent[]): void {
  const endBy = spec.endBy + waitedFor([...log, ...events]);
  const over = now >= endBy;
  for (const event of events) {
    const goesOn = ["started", "delta", "step_started", "completed"].includes(event.type);
    law(2, !over || !goesOn, "nothing goes on after a job's whole time");
    if (event.type !== "attempt_failed" || event.retry_at === null) continue;
    law(2, Date.parse(event.retry_at) < endBy, "no attempt is promised for after the end");
  }
}

/** Who gave up is written down among the dead letters, however often the queue loses its message. */
function everyLetterWritten(world: World, { job, effects }: Taken, command: Command | null): void {
  const rung = effects.some(({ type }) => type === "dead_letter");
  if (job.status === "failing" && world.job.status !== "failing") {
    law(2, rung, "who gives up rings for the dead-letter consumer");
  }
  if (command?.type === "dead_letter" || command?.type === "delete") return;
  if (world.letter !== "owed") return;
  const kept = ["failing", "failed", "cancelled"].includes(job.status);
  law(2, kept, "a failed job is kept until its letter is written");
  if (job.status !== "failed") return;
  law(2, wakeAt(job) <= world.now + LONGEST_RING_MS, "a letter that is owed is rung for");
}

/** Whoever asked for a job's end is owed it, from the write that ends it until it is settled. */
function everyEndOwed(
  { job: before, spec }: World,
  { job, events }: Taken,
  command: Command | null,
) {
  const wanted = spec.webhook !== undefined && hasEnded(job) && events.length > 0;
  const owed = job.outbox.some(({ seq }) => seq === job.seq);
  law(7, !wanted || owed, "a job's end is owed to its webhook in the write that ends it");
  if (command?.type === "delete" || job.status !== "purged") return;
  const owes = before.outbox.some(({ status }) => status === "pending");
  law(7, !owes, "what is still owed is kept beyond its retention");
}

function countedAttempts(world: World, events: LogEvent[]): void {
  const { job, spec, log, holder } = world;
  const past = sinceLastStep(log);
  const stalls = [...past, ...events].filter(isStall).length;
  law(3, stalls <= spec.maxStalls + 1, "no job stalls more often than it may, and once");
  for (const event of events) {
    if (event.type !== "started") continue;
    law(3, stalls <= spec.maxStalls, "a job that has stalled too often is given up");
    law(3, holder === null, "one attempt runs at a time");
    law(3, job.status === "queued", `nothing is started that is ${job.status}`);
    const isOne = routesNow(world).some(({ name }) => name === event.model);
    law(3, isOne, "a step calls its own models and no others");
    const calls = past.filter(
      (before) => before.type === "started" && before.model === event.model,
    );
    const { maxAttempts } = boundsNow(world);
    law(3, calls.length < maxAttempts, "no model gets more calls than max_attempts");
    const isFirst = !past.some(isStart);
    law(3, !isFirst || event.model === routesNow(world)[0]?.name, "the model asked for goes first");
    law(3, isPaidFor(world), "no call is made that the job's own budget does not pay for");
  }
}

/** A step is finished once, in its place, and nothing that comes after changes it. */
function everyStepOnce(world: World, job: Job, events: LogEvent[]): void {
  const { spec, log, holder } = world;
  const steps = spec.steps ?? [];
  for (const [at, event] of events.entries()) {
    if (event.type !== "step_completed" && event.type !== "step_started") continue;
    const done = stepsDone([...log, ...events.slice(0, at)]);
    law(3, event.index === done, `step ${done} is next, but ${event.index} is told of`);
    law(3, event.step === steps[done]?.name, "a step is told by its name");
    if (event.type === "step_started" || event.carried === true) continue;
    const isAsked = steps[done]?.type === "approval";
    law(
      5,
      event.attempt === (isAsked ? null : holder?.attempt),
      "a step's output is its attempt's",
    );
    const bytes = Buffer.byteLength(isAsked ? (event.output ?? "") : (holder?.said.join("") ?? ""));
    law(5, event.output_bytes === bytes, "an output is as long as what was said");
  }
  if (job.status === "purged" || job.course === undefined) return;
  const { done } = job.course;
  law(3, done.length === stepsDone([...log, ...events]), "a finished step is not forgotten");
  for (const [index, before] of (world.job.course?.done ?? []).entries()) {
    law(3, done[index] === before, "nothing changes a step that is finished");
  }
  const isAtApproval = steps[done.length]?.type === "approval";
  law(3, job.status !== "waiting" || isAtApproval, "nobody waits but for an approval");
  law(1, job.status !== "completed" || done.length === steps.length, "no step is left out");
  if (job.status === "waiting") {
    const asked = [...log, ...events].findLast(({ type }) => type === "step_started");
    const expiresAt = Date.parse(asked?.at ?? "") + (steps[done.length]?.expiresMs ?? 0);
    law(2, job.expiresAt === expiresAt, "an approval is waited for as long as it was said");
    law(2, dueAt(job) === job.expiresAt, "who waits has nothing to do before its time is over");
  }
}

function gaplessLog({ log, now }: World, job: Job, events: LogEvent[]): void {
  for (const [index, { seq, at }] of events.entries()) {
    law(4, seq === log.length + index + 1, `seq is gapless from 1, but ${seq} is not`);
    const before = events[index - 1] ?? log.at(-1);
    law(4, before === undefined || at >= before.at, "no event is older than the one before it");
    law(4, Date.parse(at) === now, "an event tells when it came about");
  }
  law(4, job.seq === log.length + events.length, "a job knows the last seq of its log");
}

function oneAttemptsText(world: World, job: Job, events: LogEvent[]): void {
  for (const event of events) {
    if (event.type === "started") {
      const number = world.consumers.length + 1;
      law(5, event.attempt === number, "attempts are numbered from 1 and never fall");
    }
    if (event.type === "delta") {
      law(5, event.attempt === world.holder?.attempt, "text is told as its own attempt's");
    }
  }
  if (job.status !== "completed" || world.job.status === "completed") return;
  if (stepNow(world)?.type === "approval") return;
  const from = job.attempts.at(-1)?.startedSeq ?? 0;
  const text = [...world.log, ...events].map((event) =>
    event.type === "delta" && event.seq > from ? event.delta : "",
  );
  const said = world.holder?.said.join("");
  law(5, text.join("") === said, "the text of a completed job is exactly one attempt's");
}

/** Usage and cost: of every call that ended, each once, and changed at most from an estimate to what is known. */
function countedOnce(world: World, job: Job): void {
  if (job.status === "purged") return;
  for (const [index, before] of world.job.attempts.entries()) {
    const attempt = job.attempts[index];
    law(10, attempt !== undefined, "no call is forgotten");
    if (before.outcome === "running" || sameMeter(before, attempt)) continue;
    const learned = before.usage?.estimated === true && attempt.usage?.estimated !== true;
    law(10, learned, "what a call came to changes only from an estimate to what is known");
  }
  const { cost_usd, wasted_cost_usd } = viewOf(job, world.now);
  const told = (cost_usd ?? 0) + wasted_cost_usd;
  law(10, told === billed(world), `the calls cost ${billed(world)}, but ${told} is told`);
}

function sameMeter(one: Attempt, other: Attempt): boolean {
  return one.costUsd === other.costUsd && one.usage === other.usage;
}

function isStall(event: LogEvent): boolean {
  return event.type === "attempt_failed" && event.error_code === "stalled";
}

function isStart({ type }: LogEvent): boolean {
  return type === "started";
}
