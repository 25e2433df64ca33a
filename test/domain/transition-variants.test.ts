import { describe, expect, it } from "vitest";

import type { Failure } from "../../src/domain/failure.ts";
import type { Command, Transition } from "../../src/domain/command.ts";
import type { Job, JobSpec } from "../../src/domain/job.ts";
import { transition } from "../../src/domain/transition.ts";
import {
  accepted,
  after,
  CLAUDE,
  COMMANDS,
  frozen,
  GPT,
  HOUR,
  LLM_STEP,
  MINUTE,
  NOW,
  REFUSED,
  REJECTED,
  SECOND,
  started,
} from "./fixtures.ts";
import type { Outcome } from "./transition-table.ts";

type Row = {
  /** A sentence: what the job is and what befalls it. */
  name: string;
  job: Job;
  command: Command;
  at: number;
  leads: Outcome;
  /** Types of the events told; none unless said. */
  events?: string[];
  effects?: string[];
};

const two: Partial<JobSpec> = { routes: [GPT, CLAUDE] };
const stale = { token: "token-0" };
const spoken = after(started(), NOW, COMMANDS.append);

function failWith(failure: Failure): Command {
  return { ...COMMANDS.fail, failure };
}

const rows: Row[] = [
  {
    name: "invariant 3: a lease asked for before the job is due is not granted",
    job: accepted({ runAt: NOW + HOUR }),
    command: COMMANDS.lease,
    at: NOW + HOUR - 1,
    leads: "not_due",
  },
  {
    name: "a lease asked for when a delayed job is due is granted",
    job: accepted({ runAt: NOW + HOUR }),
    command: COMMANDS.lease,
    at: NOW + HOUR,
    leads: "active",
    events: ["started", "progress"],
  },
  {
    name: "a lease asked for before the back-off is over is not granted",
    job: after(started(), NOW, COMMANDS.fail),
    command: COMMANDS.lease,
    at: NOW + 5 * SECOND - 1,
    leads: "not_due",
  },
  {
    name: "invariant 3: a lease is not granted while another is live",
    job: started(),
    command: { type: "lease", token: "token-2" },
    at: NOW + SECOND,
    leads: "illegal",
  },
  ...(["append", "complete", "fail"] as const).flatMap((type): Row[] => [
    {
      name: `invariant 3: ${type} with a stale token is fenced`,
      job: started(),
      command: { ...COMMANDS[type], ...stale },
      at: NOW + SECOND,
      leads: "fenced",
    },
    {
      name: `invariant 3: ${type} the very moment the lease ends is fenced`,
      job: started(),
      command: COMMANDS[type],
      at: NOW + MINUTE,
      leads: "fenced",
    },
  ]),
  {
    name: "append a moment before the lease ends is taken",
    job: started(),
    command: COMMANDS.append,
    at: NOW + MINUTE - 1,
    leads: "active",
    events: ["delta"],
  },
  {
    name: "append without text only asks",
    job: started(),
    command: { ...COMMANDS.append, text: "" },
    at: NOW + SECOND,
    leads: "active",
  },
  {
    name: "invariant 5: a part that comes again is taken and told to nobody",
    job: spoken,
    command: COMMANDS.append,
    at: NOW + SECOND,
    leads: "active",
  },
  {
    name: "invariant 5: a part after a gap is fenced",
    job: spoken,
    command: { ...COMMANDS.append, part: 2 },
    at: NOW + SECOND,
    leads: "fenced",
  },
  {
    name: "invariant 5: a completion after a gap is fenced",
    job: spoken,
    command: { ...COMMANDS.complete, part: 2 },
    at: NOW + SECOND,
    leads: "fenced",
  },
  {
    name: "invariant 5: a completion that repeats the last part is taken without it",
    job: spoken,
    command: COMMANDS.complete,
    at: NOW + SECOND,
    leads: "completed",
    events: ["progress", "progress", "completed"],
  },
  {
    name: "a failure worth another try waits for it",
    job: started(),
    command: COMMANDS.fail,
    at: NOW + SECOND,
    leads: "queued",
    events: ["attempt_failed"],
  },
  {
    name: "a failure that no call can mend gives up, fallback or not",
    job: started(two),
    command: failWith(REJECTED),
    at: NOW + SECOND,
    leads: "failing",
    events: ["attempt_failed"],
    effects: ["dead_letter"],
  },
  {
    name: "a model that is refused gives up where there is no other",
    job: started(),
    command: failWith(REFUSED),
    at: NOW + SECOND,
    leads: "failing",
    events: ["attempt_failed"],
    effects: ["dead_letter"],
  },
  {
    name: "a model that is refused makes way for its fallback",
    job: started(two),
    command: failWith(REFUSED),
    at: NOW + SECOND,
    leads: "queued",
    events: ["attempt_failed"],
  },
  {
    name: "invariant 3: the last attempt's failure gives up",
    job: started({ maxAttempts: 1 }),
    command: COMMANDS.fail,
    at: NOW + SECOND,
    leads: "failing",
    events: ["attempt_failed"],
    effects: ["dead_letter"],
  },
  {
    name: "a model out of attempts makes way for its fallback",
    job: started({ ...two, maxAttempts: 1 }),
    command: COMMANDS.fail,
    at: NOW + SECOND,
    leads: "queued",
    events: ["attempt_failed"],
  },
  {
    name: "invariant 2: a lease that runs out is an attempt that failed, and the doorbell rings for the next",
    job: started(),
    command: COMMANDS.wake,
    at: NOW + MINUTE,
    leads: "queued",
    events: ["attempt_failed"],
    effects: ["ring"],
  },
  {
    name: "invariant 3: a lease that runs out in the last attempt gives up",
    job: started({ maxAttempts: 1 }),
    command: COMMANDS.wake,
    at: NOW + MINUTE,
    leads: "failing",
    events: ["attempt_failed"],
    effects: ["dead_letter"],
  },
  {
    name: "a job not started in its time gives up",
    job: accepted({ startBy: NOW + SECOND }),
    command: COMMANDS.wake,
    at: NOW + SECOND,
    leads: "failing",
    effects: ["dead_letter", "withdraw"],
  },
  {
    name: "the time to start in bounds the first attempt only: a retry does not expire by it",
    job: after(started({ startBy: NOW + SECOND }), NOW, COMMANDS.fail),
    command: COMMANDS.wake,
    at: NOW + 10 * SECOND,
    leads: "queued",
  },
  {
    name: "a queued job whose message the queue gave up on gives up, and owes its dead letter",
    job: accepted(),
    command: COMMANDS.give_up,
    at: NOW + SECOND,
    leads: "failing",
    effects: ["dead_letter", "withdraw"],
  },
  {
    name: "a job whose steps took more attempts than a message has deliveries is sent another",
    job: after(started({ steps: [LLM_STEP, LLM_STEP] }), NOW, COMMANDS.fail),
    command: COMMANDS.give_up,
    at: NOW + SECOND,
    leads: "queued",
    effects: ["ring"],
  },
  {
    name: "a job of several steps whose message found no consumer at all gives up as well",
    job: accepted({ steps: [LLM_STEP, LLM_STEP] }),
    command: COMMANDS.give_up,
    at: NOW + SECOND,
    leads: "failing",
    effects: ["dead_letter", "withdraw"],
  },
  {
    name: "a message that the queue gave up on late does not touch an attempt that runs",
    job: started(),
    command: COMMANDS.give_up,
    at: NOW + SECOND,
    leads: "illegal",
  },
  {
    name: "invariant 1: a job that gave up can still be cancelled before its last word",
    job: after(started(), NOW, failWith(REJECTED)),
    command: COMMANDS.cancel,
    at: NOW + SECOND,
    leads: "cancelled",
    events: ["cancelled"],
  },
];

function leadsTo(result: Transition): Outcome {
  return result.ok ? result.job.status : result.reason;
}

describe("transition", () => {
  it.each(rows)("$name", ({ job, command, at, leads, events = [], effects = [] }) => {
    const result = transition(frozen(job), frozen(command), at);
    expect(leadsTo(result)).toBe(leads);
    if (!result.ok) return;
    expect(result.events.map(({ type }) => type)).toEqual(events);
    expect(result.effects.map(({ type }) => type)).toEqual(effects);
  });
});
