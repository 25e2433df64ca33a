import type { Command, Part } from "../../src/domain/command.ts";
import {
  currentAttempt,
  dueAt,
  hasEnded,
  type Job,
  type JobSpec,
  type LogEvent,
} from "../../src/domain/job.ts";
import type { accept, transition } from "../../src/domain/transition.ts";
import { ANSWER, REPORT, type Taken } from "./fixtures.ts";
import { law, lawsOfAStep } from "./invariants.ts";
import type { Act, Which } from "./scenario.ts";

export type Machine = { accept: typeof accept; transition: typeof transition };

/** One that was granted a lease. It keeps its token for good, as a zombie does. */
export type Consumer = {
  token: string;
  attempt: number;
  /** The parts of its text the job has taken; the next one's number is their count. */
  said: string[];
};

/** A job under a machine, and what an observer knows of it without believing the machine. */
export type World = {
  machine: Machine;
  /** As it was submitted. A machine may not change it. */
  spec: JobSpec;
  job: Job;
  now: number;
  log: LogEvent[];
  /** All there ever were, newest first. */
  consumers: Consumer[];
  /** The one whose attempt runs. */
  holder: Consumer | null;
  /** Nothing is left of the job, its id included. */
  forgotten: boolean;
};

export function newWorld(machine: Machine, spec: JobSpec): World {
  const result = machine.accept(spec);
  law(2, result.ok, "a submission is accepted");
  const { job } = result;
  const none = { consumers: [], holder: null, forgotten: false };
  const world: World = { machine, spec, job, now: spec.submittedAt, log: [], ...none };
  take(world, result);
  return world;
}

/** A second world that goes its own way from here. */
export function copyOf(world: World): World {
  const consumers = world.consumers.map((consumer) => ({ ...consumer, said: [...consumer.said] }));
  const holder = consumers.find(({ token }) => token === world.holder?.token) ?? null;
  return { ...world, log: [...world.log], consumers, holder };
}

/** What time alone has decided is decided before anybody speaks: a caller of the machine owes it that. */
export function settle(world: World): void {
  for (let wakes = 0; !world.forgotten && world.now >= (dueAt(world.job) ?? Infinity); wakes++) {
    law(2, wakes < 10, "time's decisions come to an end");
    give(world, { type: "wake", jitter: 0.5 });
  }
}

/** Gives a command to the job as it stands now. Its answer, if it was taken. */
export function give(world: World, command: Command): Taken | null {
  const result = world.machine.transition(world.job, command, world.now);
  if (!result.ok) return null;
  take(world, result);
  return result;
}

export function act(world: World, act: Act): void {
  settle(world);
  if (world.forgotten) return;
  switch (act.type) {
    case "come":
      return come(world);
    case "append":
    case "complete":
      return speak(world, act.type, act.who, act.which);
    case "fail":
      return giveUp(world, act);
    case "dead_letter":
    case "wake":
      give(world, act);
      return;
    case "cancel":
      give(world, { type: "cancel", reason: "Cancelled by the client" });
      return;
  }
}

/** A consumer asks for a lease. */
export function come(world: World): void {
  const token = `token-${world.consumers.length + 1}`;
  const { job, now } = world;
  const result = give(world, { type: "lease", token });
  const due = job.status === "queued" && now >= job.readyAt;
  law(
    3,
    (result !== null) === due,
    "a lease is granted to a job that waits and is due, and no other",
  );
  if (result === null) return;
  const attempt = currentAttempt(world.job)?.number ?? 0;
  world.holder = { token, attempt, said: [] };
  world.consumers.unshift(world.holder);
}

/** A consumer says a part of its text, or says it and ends. */
export function speak(world: World, type: "append" | "complete", who: number, which: Which): void {
  const consumer = world.consumers[who];
  if (consumer === undefined) return;
  const part = partOf(consumer, which);
  const gap = part.part > consumer.said.length;
  const fresh = part.part === consumer.said.length && part.text !== "";
  const heard = consumer === world.holder && !gap;
  // Before the command, since the end is judged by it; put back should the job not take it.
  if (fresh) consumer.said.push(part.text);
  const result = give(world, commandOf(type, consumer, part));
  if (fresh && result === null) consumer.said.pop();
  law(5, !(gap && result !== null), "a part after a gap is refused");
  law(3, (result !== null) === heard, "the lease's holder is heard, and nobody else");
  const again = type === "append" && part.part < consumer.said.length && !fresh;
  law(5, !again || (result?.events.length ?? 0) === 0, "a part that comes again is told to nobody");
}

function giveUp(world: World, { who, failure, jitter }: Extract<Act, { type: "fail" }>): void {
  const consumer = world.consumers[who];
  if (consumer === undefined) return;
  const { token } = consumer;
  const heard = consumer === world.holder;
  const result = give(world, { type: "fail", token, failure, report: REPORT, jitter });
  law(3, (result !== null) === heard, "the lease's holder is heard, and nobody else");
}

/** The same part of the same attempt always has the same text, and no two have the same. */
export function partOf({ attempt, said }: Consumer, which: Which): Part {
  const number = numberOf(said.length, which);
  const text = which === "none" ? "" : `[attempt ${attempt}, part ${number}]`;
  return { part: number, text, ttftMs: 620 };
}

function numberOf(next: number, which: Which): number {
  if (which === "gap") return next + 1;
  return which === "again" && next > 0 ? next - 1 : next;
}

export function commandOf(
  type: "append" | "complete",
  { token }: Consumer,
  part: Part,
): Extract<Command, { type: "append" | "complete" }> {
  if (type === "append") return { type, token, ...part };
  return { type, token, ...part, answer: ANSWER, report: REPORT };
}

/** The machine's word is law, once it has been held against the laws. */
function take(world: World, result: Taken): void {
  lawsOfAStep(world, result);
  world.job = result.job;
  world.log.push(...result.events);
  world.forgotten ||= result.effects.some(({ type }) => type === "forget");
  const over = result.events.some(({ type }) => type === "attempt_failed") || hasEnded(world.job);
  if (over) world.holder = null;
}
