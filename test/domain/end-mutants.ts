import { transition } from "../../src/domain/transition.ts";
import { SECOND } from "./fixtures.ts";
import { altering, deciding, leaving, type Mutant } from "./mutate.ts";

/** Faults in how a job ends, what becomes of it then, and what it says it cost. */
export const END_MUTANTS: Mutant[] = [
  {
    name: "a deleted job keeps its content",
    breaks: 1,
    machine: deciding((job, command) =>
      command.type === "delete" && job.status !== "purged"
        ? { ok: true, job, events: [], effects: [] }
        : null,
    ),
  },
  {
    name: "a deleted job goes on",
    breaks: 1,
    machine: deciding((job, command, now) => {
      if (command.type !== "delete" || job.status !== "cancelled") return null;
      const due = { readyAt: now, ringAt: now, rings: 1 };
      const again = { ...job, status: "queued" as const, ...due };
      return { ok: true, job: again, events: [], effects: [] };
    }),
  },
  {
    name: "a deletion tells a second end",
    breaks: 1,
    machine: altering((result, _, command) => {
      if (command?.type !== "delete") return result;
      const seq = result.job.seq + 1;
      const at = new Date(0).toISOString();
      const told = { type: "cancelled" as const, reason: "Deleted", seq, at };
      return { ...result, job: { ...result.job, seq }, events: [told] };
    }),
  },
  {
    name: "a deleted job leaves its dead letter behind",
    breaks: 1,
    machine: leaving("purged", (job) => ({ ...job, letterToo: false })),
  },
  {
    name: "a job that gave up waits for the dead-letter consumer without end",
    breaks: 2,
    machine: deciding((job, command, now) =>
      job.status === "failing" && command.type === "wake"
        ? { ok: true, job: { ...job, endAt: now + 15 * SECOND }, events: [], effects: [] }
        : null,
    ),
  },
  {
    name: "a job gives up and rings for nobody",
    breaks: 2,
    machine: altering((result) =>
      result.job.status === "failing" ? { ...result, effects: [] } : result,
    ),
  },
  {
    name: "a letter is forgotten when its ring is lost",
    breaks: 2,
    machine: deciding((job, command, now) => {
      if (job.status !== "failing" || command.type !== "wake" || now < job.endAt) return null;
      return transition(job, { type: "dead_letter" }, now);
    }),
  },
  {
    name: "a letter is rung for once and no more",
    breaks: 2,
    machine: altering((result, before, command) =>
      before?.status === "failed" && command?.type === "wake" ? { ...result, effects: [] } : result,
    ),
  },
  {
    name: "a letter that is owed has no timer",
    breaks: 2,
    machine: leaving("failed", (job) =>
      job.letter === null ? job : { ...job, letter: { ...job.letter, ringAt: Infinity } },
    ),
  },
  {
    name: "a failed job is purged with its letter owed",
    breaks: 2,
    machine: deciding((job, command, now) =>
      job.status === "failed" && command.type === "wake"
        ? transition({ ...job, letter: null }, command, now)
        : null,
    ),
  },
  {
    name: "a letter that is written is not believed",
    breaks: 2,
    machine: deciding((job, command) =>
      command.type === "dead_letter" && job.status === "failed"
        ? { ok: false, reason: "illegal" }
        : null,
    ),
  },
  {
    name: "the total life is not looked at",
    breaks: 2,
    machine: deciding((job, command, now) => {
      if (command.type !== "wake" && command.type !== "fail") return null;
      const result = transition({ ...job, spec: { ...job.spec, endBy: Infinity } }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec: job.spec } } : result;
    }),
  },
  {
    name: "an attempt is promised for after the total life",
    breaks: 2,
    machine: deciding((job, command, now) => {
      if (command.type !== "fail") return null;
      const spec = { ...job.spec, endBy: Infinity };
      const result = transition({ ...job, spec }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec: job.spec } } : result;
    }),
  },
  {
    name: "a stall is not counted",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (command.type !== "wake" || job.status !== "active") return null;
      const spec = { ...job.spec, maxStalls: Infinity };
      const result = transition({ ...job, spec }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec: job.spec } } : result;
    }),
  },
  {
    name: "one stall too many",
    breaks: 3,
    machine: deciding((job, command, now) => {
      if (command.type !== "wake" || job.status !== "active") return null;
      const spec = { ...job.spec, maxStalls: job.spec.maxStalls + 1 };
      const result = transition({ ...job, spec }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec: job.spec } } : result;
    }),
  },
  {
    name: "an account is taken twice",
    breaks: 10,
    machine: deciding((job, command, now) => {
      if (command.type !== "account") return null;
      const attempts = job.attempts.map((attempt) =>
        attempt.usage === null
          ? attempt
          : { ...attempt, usage: { ...attempt.usage, estimated: true as const } },
      );
      return transition({ ...job, attempts }, command, now);
    }),
  },
  {
    name: "an account is never taken",
    breaks: 10,
    machine: deciding((_, command) =>
      command.type === "account" ? { ok: false, reason: "illegal" } : null,
    ),
  },
  {
    name: "an account counts as a part of the text",
    breaks: 10,
    machine: altering((result, _, command) => {
      if (command?.type !== "account") return result;
      const appended = result.job.appended + 1;
      return { ...result, job: { ...result.job, appended } };
    }),
  },
  {
    name: "an account is added to the estimate",
    breaks: 10,
    machine: altering((result, before, command) => {
      if (command?.type !== "account" || before === null) return result;
      const attempts = result.job.attempts.map((attempt, index) => {
        const estimate = before.attempts[index];
        if (estimate === undefined || estimate.usage === attempt.usage) return attempt;
        return { ...attempt, costUsd: (attempt.costUsd ?? 0) + (estimate.costUsd ?? 0) };
      });
      return { ...result, job: { ...result.job, attempts } };
    }),
  },
  {
    name: "a stalled call costs nothing",
    breaks: 10,
    machine: altering((result, _, command) => {
      if (command?.type !== "wake") return result;
      const attempts = result.job.attempts.map((attempt) =>
        attempt.usage?.estimated === true ? { ...attempt, costUsd: 0 } : attempt,
      );
      return { ...result, job: { ...result.job, attempts } };
    }),
  },
  {
    name: "the text of a cancelled call is not counted",
    breaks: 10,
    machine: deciding((job, command, now) =>
      command.type === "cancel" ? transition({ ...job, said: 0 }, command, now) : null,
    ),
  },
  {
    name: "every call has the price of the first model",
    breaks: 10,
    machine: deciding((job, command, now) => {
      const [first] = job.spec.routes;
      if (first === undefined || command.type === "lease") return null;
      const routes = job.spec.routes.map((route) => ({ ...route, price: first.price }));
      const result = transition({ ...job, spec: { ...job.spec, routes } }, command, now);
      return result.ok ? { ...result, job: { ...result.job, spec: job.spec } } : result;
    }),
  },
  {
    name: "the cost of a failed call is lost with it",
    breaks: 10,
    machine: altering((result, _, command) => {
      if (command?.type !== "lease") return result;
      const attempts = result.job.attempts.map((attempt) =>
        attempt.outcome === "failed" ? { ...attempt, costUsd: 0 } : attempt,
      );
      return { ...result, job: { ...result.job, attempts } };
    }),
  },
];
