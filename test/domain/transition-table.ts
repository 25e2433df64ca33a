import type { Command, Transition } from "../../src/domain/command.ts";
import type { Job } from "../../src/domain/job.ts";
import {
  accepted,
  after,
  APPROVAL_STEP,
  COMMANDS,
  inStatus,
  NOW,
  REJECTED,
  SECOND,
  started,
  type JobIn,
  type Status,
} from "./fixtures.ts";

/** The status a command leads to, or why it is refused. */
export type Outcome = Status | Extract<Transition, { ok: false }>["reason"];

/** When the table's commands are given: a second after the job came to be as it is. */
export const AT = NOW + SECOND;

const giveUp: Command = { ...COMMANDS.fail, failure: REJECTED };
const failing = inStatus(after(started(), NOW, giveUp), "failing");
const cancelled = inStatus(after(started(), NOW, COMMANDS.cancel), "cancelled");

/** The plainest job of each status. */
export const CANONICAL: { [S in Status]: JobIn<S> } = {
  queued: accepted(),
  active: started(),
  waiting: inStatus(after(accepted({ steps: [APPROVAL_STEP] }), NOW, COMMANDS.ask), "waiting"),
  failing,
  completed: inStatus(after(started(), NOW, COMMANDS.complete), "completed"),
  failed: inStatus(after(failing, NOW, COMMANDS.dead_letter), "failed"),
  cancelled,
  purged: inStatus(purgedFrom(cancelled), "purged"),
};

/**
 * What becomes of the plainest job of each status at each command, given in time by the lease's own holder.
 * An account is taken where a call is known by an estimate only: of these, by the one that was cancelled.
 * No `Partial`: a new status or command does not compile until every cell of it is written down.
 */
export const TABLE: Record<Status, Record<Command["type"], Outcome>> = {
  queued: {
    lease: "active",
    append: "illegal",
    complete: "illegal",
    fail: "illegal",
    account: "illegal",
    give_up: "failing",
    dead_letter: "illegal",
    ask: "illegal",
    input: "illegal",
    cancel: "cancelled",
    delete: "illegal",
    settle: "queued",
    replay: "queued",
    wake: "queued",
  },
  active: {
    lease: "illegal",
    append: "active",
    complete: "completed",
    fail: "queued",
    account: "illegal",
    give_up: "illegal",
    dead_letter: "illegal",
    ask: "illegal",
    input: "illegal",
    cancel: "cancelled",
    delete: "illegal",
    settle: "active",
    replay: "active",
    wake: "active",
  },
  waiting: {
    lease: "illegal",
    append: "illegal",
    complete: "illegal",
    fail: "illegal",
    account: "illegal",
    give_up: "illegal",
    dead_letter: "illegal",
    ask: "illegal",
    input: "completed",
    cancel: "cancelled",
    delete: "illegal",
    settle: "waiting",
    replay: "waiting",
    wake: "waiting",
  },
  failing: {
    lease: "illegal",
    append: "illegal",
    complete: "illegal",
    fail: "illegal",
    account: "illegal",
    give_up: "illegal",
    dead_letter: "failed",
    ask: "illegal",
    input: "illegal",
    cancel: "cancelled",
    delete: "illegal",
    settle: "failing",
    replay: "failing",
    wake: "failing",
  },
  completed: {
    lease: "illegal",
    append: "illegal",
    complete: "illegal",
    fail: "illegal",
    account: "illegal",
    give_up: "illegal",
    dead_letter: "illegal",
    ask: "illegal",
    input: "illegal",
    cancel: "illegal",
    delete: "purged",
    settle: "completed",
    replay: "completed",
    wake: "completed",
  },
  failed: {
    lease: "illegal",
    append: "illegal",
    complete: "illegal",
    fail: "illegal",
    account: "illegal",
    give_up: "illegal",
    dead_letter: "failed",
    ask: "illegal",
    input: "illegal",
    cancel: "illegal",
    delete: "purged",
    settle: "failed",
    replay: "failed",
    wake: "failed",
  },
  cancelled: {
    lease: "illegal",
    append: "illegal",
    complete: "illegal",
    fail: "illegal",
    account: "cancelled",
    give_up: "illegal",
    dead_letter: "illegal",
    ask: "illegal",
    input: "illegal",
    cancel: "illegal",
    delete: "purged",
    settle: "cancelled",
    replay: "cancelled",
    wake: "cancelled",
  },
  purged: {
    lease: "illegal",
    append: "illegal",
    complete: "illegal",
    fail: "illegal",
    account: "illegal",
    give_up: "illegal",
    dead_letter: "illegal",
    ask: "illegal",
    input: "illegal",
    cancel: "illegal",
    delete: "illegal",
    settle: "illegal",
    replay: "illegal",
    wake: "purged",
  },
};

/** Purged by time, while its key still runs. */
function purgedFrom(job: Job): Job {
  const spec = { ...job.spec, retentionMs: 0 };
  return after({ ...job, spec }, NOW, COMMANDS.wake);
}
