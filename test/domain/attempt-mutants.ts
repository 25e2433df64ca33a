import { transition } from "../../src/domain/transition.ts";
import { MINUTE } from "./fixtures.ts";
import { altering, carriesPart, deciding, leaving, speaks, type Mutant } from "./mutate.ts";

/** Faults in the way of an attempt, from its lease to its end. Each is the real machine but for one thing. */
export const ATTEMPT_MUTANTS: Mutant[] = [
  {
    name: "a cancelled job may still complete",
    breaks: 1,
    machine: deciding((job, command, now) => {
      if (job.status !== "cancelled" || command.type !== "complete") return null;
      const lease = { token: command.token, expiresAt: now + 1 };
      return transition({ ...job, status: "active", lease }, command, now);
    }),
  },
  {
    name: "a dead letter is heard by a job that has failed already",
    breaks: 1,
    machine: deciding((job, command, now) =>
      job.status === "failed" && command.type === "dead_letter"
        ? transition({ ...job, status: "failing", endAt: now }, command, now)
        : null,
    ),
  },
  {
    name: "the terminal event is told twice",
    breaks: 1,
    machine: altering((result) => {
      const last = result.events.at(-1);
      if (last?.type !== "cancelled") return result;
      const seq = last.seq + 1;
      return {
        ...result,
        job: { ...result.job, seq },
        events: [...result.events, { ...last, seq }],
      };
    }),
  },
  {
    name: "cancelling is told but the attempt goes on",
    breaks: 1,
    machine: altering((result, before, command) =>
      before?.status === "active" && command?.type === "cancel"
        ? { ...result, job: { ...before, seq: result.job.seq } }
        : result,
    ),
  },
  {
    name: "a queued job has no timer",
    breaks: 2,
    machine: leaving("queued", (job) => ({
      ...job,
      ringAt: Infinity,
      readyAt: Infinity,
      spec: { ...job.spec, startBy: Infinity },
    })),
  },
  {
    name: "the doorbell has no timer of its own",
    breaks: 2,
    machine: leaving("queued", (job) => ({ ...job, ringAt: Infinity })),
  },
  {
    name: "the alarm does not ring the doorbell",
    breaks: 2,
    machine: altering((result, before) =>
      before?.status === "queued" && result.job.status === "queued"
        ? { ...result, effects: [] }
        : result,
    ),
  },
  {
    name: "a lease never ends",
    breaks: 2,
    machine: leaving("active", (job) => ({ ...job, lease: { ...job.lease, expiresAt: Infinity } })),
  },
  {
    name: "a consumer that goes on talking keeps its lease for good",
    breaks: 2,
    machine: altering((result, _, command) => {
      const { job } = result;
      if (job.status !== "active" || command?.type !== "append") return result;
      const startedAt = job.attempts.at(-1)?.startedAt ?? 0;
      const expiresAt = Math.max(job.lease.expiresAt, startedAt + 10 * MINUTE);
      return { ...result, job: { ...job, lease: { ...job.lease, expiresAt } } };
    }),
  },
  {
    name: "an early alarm takes a live lease away",
    breaks: 2,
    machine: deciding((job, command, now) =>
      job.status === "active" && command.type === "wake"
        ? transition({ ...job, lease: { ...job.lease, expiresAt: now } }, command, now)
        : null,
    ),
  },
  {
    name: "any token will do",
    breaks: 3,
    machine: deciding((job, command, now) =>
      job.status === "active" && speaks(command)
        ? transition(job, { ...command, token: job.lease.token }, now)
        : null,
    ),
  },
  {
    name: "the end of a lease is not looked at",
    breaks: 3,
    machine: deciding((job, command, now) =>
      job.status === "active" && speaks(command) && now >= job.lease.expiresAt
        ? transition({ ...job, lease: { ...job.lease, expiresAt: now + 1 } }, command, now)
        : null,
    ),
  },
  {
    name: "a second lease is granted beside a live one",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (job.status !== "active" || command.type !== "lease") return null;
      const due = { readyAt: now, ringAt: now, rings: 1 };
      return transition({ ...job, status: "queued", ...due }, command, now);
    }),
  },
  {
    name: "a lease is granted before its job is due",
    breaks: 3,
    machine: deciding((job, command, now) =>
      job.status === "queued" && command.type === "lease"
        ? transition({ ...job, readyAt: now }, command, now)
        : null,
    ),
  },
  {
    name: "a job that gave up is given another attempt",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (job.status !== "failing" || command.type !== "lease") return null;
      const due = { readyAt: now, ringAt: now, rings: 1 };
      return transition({ ...job, status: "queued", ...due }, command, now);
    }),
  },
  {
    name: "attempts have no bound",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (command.type !== "fail" && command.type !== "wake") return null;
      const spec = { ...job.spec, maxAttempts: Infinity };
      return transition({ ...job, spec }, command, now);
    }),
  },
  {
    name: "one attempt too many",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (command.type !== "fail" && command.type !== "wake") return null;
      const spec = { ...job.spec, maxAttempts: job.spec.maxAttempts + 1 };
      const result = transition({ ...job, spec }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec: job.spec } } : result;
    }),
  },
  {
    name: "max_attempts counts for all models together",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (command.type !== "fail" || job.attempts.length < job.spec.maxAttempts) return null;
      const failure = { ...command.failure, remedy: "give_up" } as const;
      return transition(job, { ...command, failure }, now);
    }),
  },
  {
    name: "the fallbacks are forgotten",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (command.type !== "fail") return null;
      const routes = job.spec.routes.slice(0, job.route + 1);
      return transition({ ...job, spec: { ...job.spec, routes } }, command, now);
    }),
  },
  {
    name: "seq skips a number after a failed attempt",
    breaks: 4,
    machine: altering((result) =>
      result.events.some(({ type }) => type === "attempt_failed")
        ? { ...result, job: { ...result.job, seq: result.job.seq + 1 } }
        : result,
    ),
  },
  {
    name: "seq begins anew with each attempt",
    breaks: 4,
    machine: deciding((job, command, now) =>
      command.type === "lease" && job.attempts.length > 0
        ? transition({ ...job, seq: 0 }, command, now)
        : null,
    ),
  },
  {
    name: "the end is dated back to the attempt's start",
    breaks: 4,
    machine: altering((result) => {
      const at = new Date(result.job.attempts.at(-1)?.startedAt ?? 0).toISOString();
      const back = result.events.map((event) =>
        event.type === "completed" ? { ...event, at } : event,
      );
      return { ...result, events: back };
    }),
  },
  {
    name: "a part that comes again is told again",
    breaks: 5,
    machine: deciding((job, command, now) =>
      carriesPart(command) && command.part < job.appended
        ? transition(job, { ...command, part: job.appended }, now)
        : null,
    ),
  },
  {
    name: "a part after a gap is taken",
    breaks: 5,
    machine: deciding((job, command, now) =>
      carriesPart(command) && command.part > job.appended
        ? transition(job, { ...command, part: job.appended }, now)
        : null,
    ),
  },
  {
    name: "the text of earlier attempts is kept",
    breaks: 5,
    machine: leaving("active", (job) => {
      const startedSeq = job.attempts[0]?.startedSeq ?? 0;
      return { ...job, attempts: job.attempts.map((attempt) => ({ ...attempt, startedSeq })) };
    }),
  },
  {
    name: "the parts of a new attempt are counted on from the last one's",
    breaks: 5,
    machine: altering((result, before, command) =>
      before !== null && command?.type === "lease"
        ? { ...result, job: { ...result.job, appended: before.appended } }
        : result,
    ),
  },
  {
    name: "the last part is lost with the end",
    breaks: 5,
    machine: deciding((job, command, now) =>
      command.type === "complete" ? transition(job, { ...command, text: "" }, now) : null,
    ),
  },
  {
    name: "attempts are numbered anew for each model",
    breaks: 5,
    machine: altering((result) => {
      const { attempts, route } = result.job;
      const attempt = attempts.filter((past) => past.route === route).length;
      const events = result.events.map((event) =>
        event.type === "started" ? { ...event, attempt } : event,
      );
      return { ...result, events };
    }),
  },
  {
    name: "a job's own budget is not looked at",
    breaks: 3,
    machine: withBudget(() => Infinity),
  },
  {
    name: "what failed calls cost is not taken from a job's budget",
    breaks: 3,
    machine: withBudget((budget, calls) => budget * (calls + 1)),
  },
];

/** The machine, but that it takes this for the job's budget. */
function withBudget(taken: (budget: number, calls: number) => number) {
  return deciding((job, command, now) => {
    const budget = job.spec.maxCostUsd;
    if (budget === undefined) return null;
    const spec = { ...job.spec, maxCostUsd: taken(budget, job.attempts.length) };
    const result = transition({ ...job, spec }, command, now);
    if (!result.ok || result.job.status === "purged") return result;
    return { ...result, job: { ...result.job, spec: job.spec } };
  });
}
