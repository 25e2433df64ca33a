import type { Job } from "../../src/domain/job.ts";
import { transition } from "../../src/domain/transition.ts";
import { altering, deciding, leaving, type Mutant } from "./mutate.ts";
import { DAY } from "./fixtures.ts";

/** Faults in the way from one step to the next, and in how approvals are waited for. */
export const STEP_MUTANTS: Mutant[] = [
  {
    name: "a step that is finished is run again",
    breaks: 3,
    machine: altering((result, before, command) =>
      command?.type === "complete" && result.job.status === "queued"
        ? { ...result, job: { ...result.job, ...courseOf(before) } }
        : result,
    ),
  },
  {
    name: "a failed attempt takes the finished steps along",
    breaks: 3,
    machine: altering((result, _, command) => {
      const { course } = result.job;
      if (command?.type !== "fail" || course === undefined) return result;
      return { ...result, job: { ...result.job, course: { ...course, done: [] } } };
    }),
  },
  {
    name: "a step is skipped",
    breaks: 3,
    machine: altering((result, _, command) => {
      const { course } = result.job;
      const [first] = course?.done ?? [];
      if (command?.type !== "complete" || course === undefined || first === undefined)
        return result;
      const done = [...course.done, first];
      return { ...result, job: { ...result.job, course: { ...course, done } } };
    }),
  },
  {
    name: "max_attempts counts for all steps together",
    breaks: 3,
    machine: deciding((job, command, now) => {
      const step = job.spec.steps?.[job.course?.done.length ?? 0];
      if (command.type !== "fail" || job.attempts.length < (step?.maxAttempts ?? Infinity)) {
        return null;
      }
      const failure = { ...command.failure, remedy: "give_up" } as const;
      return transition(job, { ...command, failure }, now);
    }),
  },
  {
    name: "a step begins with the fallback that the last one has come to",
    breaks: 3,
    machine: altering((result, before, command) =>
      command?.type === "complete" && result.job.status === "queued"
        ? { ...result, job: { ...result.job, route: before?.route ?? 0 } }
        : result,
    ),
  },
  {
    name: "a step has the job's time, not its own",
    breaks: 2,
    machine: deciding((job, command, now) => {
      if (command.type !== "append" || job.spec.steps === undefined) return null;
      const steps = job.spec.steps.map((step) => ({ ...step, timeoutMs: 90_000 }));
      const result = transition({ ...job, spec: { ...job.spec, steps } }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec: job.spec } } : result;
    }),
  },
  {
    name: "a job's own budget is not looked at beyond its first step",
    breaks: 3,
    machine: deciding((job, command, now) => {
      const isLater = command.type === "complete" || (job.course?.done.length ?? 0) > 0;
      if (job.spec.steps === undefined || !isLater) return null;
      const { maxCostUsd: _, ...spec } = job.spec;
      const result = transition({ ...job, spec }, command, now);
      return result.ok && result.job.status !== "purged"
        ? { ...result, job: { ...result.job, spec: job.spec } }
        : result;
    }),
  },
  {
    name: "the outputs that a prompt holds are not counted",
    breaks: 10,
    machine: altering((result) => {
      const { attempts, course } = result.job;
      if (course === undefined) return result;
      const counted = attempts.map((attempt) => {
        if (attempt.usage?.estimated !== true || attempt.costUsd === null) return attempt;
        const step = result.job.spec.steps?.[attempt.step ?? -1];
        if (step === undefined || step.reads.length === 0) return attempt;
        const costUsd = attempt.costUsd - (step.routes[0]?.price?.input ?? 0) / 1e6;
        return Object.assign({}, attempt, { costUsd });
      });
      return { ...result, job: { ...result.job, attempts: counted } };
    }),
  },
  {
    name: "who waits for an approval has no timer",
    breaks: 2,
    machine: leaving("waiting", (job) => ({ ...job, expiresAt: Infinity })),
  },
  {
    name: "the life of a job ends while it waits for an approval",
    breaks: 2,
    machine: leaving("waiting", (job) => ({
      ...job,
      expiresAt: Math.min(job.expiresAt, job.since + 3_000),
    })),
  },
  {
    name: "what a job has waited for an approval is added to its life twice",
    breaks: 2,
    machine: altering((result, before, command) => {
      const { course } = result.job;
      if (command?.type !== "input" || course === undefined) return result;
      const waitedMs = course.waitedMs * 2 - (before?.course?.waitedMs ?? 0) + DAY;
      return { ...result, job: { ...result.job, course: { ...course, waitedMs } } };
    }),
  },
  {
    name: "any answer will do, whatever was asked",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (job.status !== "waiting" || command.type !== "input") return null;
      const requestId = `input_${job.spec.uid}_${job.course?.done.length ?? 0}`;
      return transition(job, { ...command, requestId }, now);
    }),
  },
  {
    name: "a job that was not approved goes on",
    breaks: 1,
    machine: deciding((job, command, now) =>
      command.type === "input" ? transition(job, { ...command, approved: true }, now) : null,
    ),
  },
  {
    name: "an approval is handed to a consumer",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (command.type !== "lease" || job.status !== "queued") return null;
      const steps = job.spec.steps?.map((step) => ({ ...step, type: "http" as const }));
      if (steps === undefined) return null;
      const result = transition({ ...job, spec: { ...job.spec, steps } }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec: job.spec } } : result;
    }),
  },
  {
    name: "the last step's text is told with that of the others",
    breaks: 5,
    machine: leaving("completed", (job) => ({
      ...job,
      attempts: job.attempts.map((attempt) => ({ ...attempt, startedSeq: 1 })),
    })),
  },
  {
    name: "a job ends before its last step",
    breaks: 1,
    machine: deciding((job, command, now) => {
      const { course, spec } = job;
      const isFirst = course?.done.length === 0 && (spec.steps?.length ?? 0) > 1;
      if (command.type !== "complete" || !isFirst) return null;
      const steps = spec.steps?.slice(0, 1) ?? [];
      const result = transition({ ...job, spec: { ...spec, steps } }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec } } : result;
    }),
  },
];

function courseOf(before: Job | null): Pick<Job, "course"> {
  return before?.course === undefined ? {} : { course: before.course };
}
