import { purge } from "../../src/domain/end.ts";
import { hasEnded, retainedUntil } from "../../src/domain/job.ts";
import { altering, deciding, leaving, type Mutant } from "./mutate.ts";

/** Faults in what a job owes its webhook. */
export const WEBHOOK_MUTANTS: Mutant[] = [
  {
    name: "retention deletes what is still owed",
    breaks: 7,
    machine: deciding((job, command, now) =>
      command.type === "wake" &&
      job.status === "completed" &&
      now >= (retainedUntil(job) ?? Infinity)
        ? purge(job, false, now)
        : null,
    ),
  },
  {
    name: "a job that was cancelled owes its webhook nothing",
    breaks: 7,
    machine: leaving("cancelled", (job) => ({ ...job, outbox: [] })),
  },
  {
    name: "a deleted job still owes its webhook",
    breaks: 7,
    machine: altering((result, before, command) =>
      command?.type === "delete" && before !== null
        ? { ...result, job: { ...result.job, outbox: before.outbox } }
        : result,
    ),
  },
  {
    name: "how a delivery went is not heard by a job that has ended",
    breaks: 7,
    machine: deciding((job, command) =>
      command.type === "settle" && hasEnded(job) ? { ok: false, reason: "illegal" } : null,
    ),
  },
  {
    name: "the bell of what is owed is never rung again",
    breaks: 2,
    machine: altering((result, before, command) =>
      command?.type === "wake" && before !== null && result.job.status === before.status
        ? { ...result, job: { ...result.job, outbox: before.outbox } }
        : result,
    ),
  },
];
