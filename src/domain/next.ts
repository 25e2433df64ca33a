import type { Effect, Transition } from "./command.ts";
import { iso } from "./instant.ts";
import type { Fact, Job, LogEvent, Phase, Ring } from "./job.ts";
import { hasComeDue, owe } from "./outbox.ts";
import { ringDelayMs } from "./retry.ts";

/** The job in another status, without what belonged to the one it leaves. */
export function enter(job: Job, phase: Phase): Job {
  const { spec, seq, appended, said, route, attempts, progress, step, course, outbox } = job;
  const stage = course === undefined ? {} : { course };
  return { spec, seq, appended, said, route, attempts, progress, step, ...stage, outbox, ...phase };
}

/** Numbers the facts, keeps what a poll shows of the latest progress, and owes the webhook what it asked for. */
export function next(job: Job, now: number, facts: Fact[], effects: Effect[] = []): Transition {
  let { seq, progress, step } = job;
  const events = facts.map((fact): LogEvent => {
    if (fact.type === "progress") ({ progress, step } = fact);
    return { ...fact, seq: ++seq, at: iso(now) };
  });
  const outbox = owe(job.outbox, job.spec, events, now);
  const told: Effect[] = hasComeDue(job.outbox, outbox, now) ? [{ type: "deliver" }] : [];
  const after = { ...job, seq, progress, step, outbox };
  return { ok: true, job: after, events, effects: [...effects, ...told] };
}

/** A message is sent once more: when it would be sent again. */
export function rung(rings: number, now: number): Ring {
  return { rings: rings + 1, ringAt: now + ringDelayMs(rings + 1) };
}
