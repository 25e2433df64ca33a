import type { Command, Transition } from "../../src/domain/command.ts";
import type { Job } from "../../src/domain/job.ts";
import { accept, transition } from "../../src/domain/transition.ts";
import type { JobIn, Taken } from "./fixtures.ts";
import type { Machine } from "./world.ts";

/** A machine that is wrong on purpose, and the invariant it breaks. */
export type Mutant = { name: string; breaks: number; machine: Machine };

type Decide = typeof transition;
type Token = Extract<Command, { token: string }>;

/** The real machine but for one decision; null leaves it to the real one. */
export function deciding(decide: (...given: Parameters<Decide>) => Transition | null): Machine {
  return { accept, transition: (...given) => decide(...given) ?? transition(...given) };
}

/** The real machine with its answers altered. */
export function altering(
  alter: (result: Taken, before: Job | null, command: Command | null) => Taken,
) {
  const altered = (result: Transition, job: Job | null, command: Command | null) =>
    result.ok ? alter(result, job, command) : result;
  return {
    accept: (...given) => altered(accept(...given), null, null),
    transition: (job, command, now) => altered(transition(job, command, now), job, command),
  } satisfies Machine;
}

/** The real machine with every job it leaves in a status altered. */
export function leaving<S extends Job["status"]>(
  status: S,
  alter: (job: JobIn<S>) => JobIn<S>,
): Machine {
  const isIn = (job: Job): job is JobIn<S> => job.status === status;
  return altering((result) => (isIn(result.job) ? { ...result, job: alter(result.job) } : result));
}

export function speaks(command: Command): command is Token {
  return command.type === "append" || command.type === "complete" || command.type === "fail";
}

export function carriesPart(command: Command): command is Extract<Command, { part: number }> {
  return command.type === "append" || command.type === "complete";
}
