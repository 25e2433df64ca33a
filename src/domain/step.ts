import type { Effect, Transition } from "./command.ts";
import { iso } from "./instant.ts";
import type { Fact, Job, LogEvent, Phase, Ring } from "./job.ts";
import { ringDelayMs } from "./retry.ts";

/** The job in another status, without what belonged to the one it leaves. */
export function enter(job: Job, phase: Phase): Job {
  const { spec, seq, appended, said, route, attempts, progress, step } = job;
  return { spec, seq, appended, said, route, attempts, progress, step, ...phase };
}

/** Numbers the facts and keeps what a poll shows of the latest progress. */
export function next(job: Job, now: number, facts: Fact[], effects: Effect[] = []): Transition {
  let { seq, progress, step } = job;
  const events = facts.map((fact): LogEvent => {
    if (fact.type === "progress") ({ progress, step } = fact);
    return { ...fact, seq: ++seq, at: iso(now) };
  });
  return { ok: true, job: { ...job, seq, progress, step }, events, effects };
}

/** A message is sent once more: when it would be sent again. */
export function rung(rings: number, now: number): Ring {
  return { rings: rings + 1, ringAt: now + ringDelayMs(rings + 1) };
}
