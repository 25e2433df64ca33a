import type { BatchEvent, StatusCounts } from "../schema/batch.ts";
import type { DistributiveOmit, Submission } from "./job.ts";
import type { Tier } from "../schema/job.ts";
import type { Webhook } from "./webhook.ts";

/** Items that are in flight at once between a batch and its jobs, at most. */
export const SIDE_BY_SIDE = 50;

/** What was fixed at submission. Instants are epoch milliseconds, by the Worker's clock. */
export type BatchSpec = Submission & {
  id: string;
  /** Random; its jobs' ids and uids are made of it. */
  uid: string;
  tier: Tier;
  total: number;
  /** Its tenant has limits, and what its jobs may cost was reserved. */
  reserved: boolean;
  submittedAt: number;
  /** How long it is kept after its end: as long as the longest kept of its jobs. */
  retentionMs: number;
  /** Until then the id is taken even if the batch is purged. */
  keyExpiresAt: number;
  metadata: Record<string, string>;
  /** Absent: nobody is to be told. */
  webhook?: Webhook;
};

/**
 * How an item stands, in a letter. Before a job may have been made of it the step that makes it is written down, so that
 * an item which is `unsent` has none for certain.
 */
export const LETTERS = {
  unsent: "u",
  sending: "s",
  waiting: "w",
  active: "a",
  /** The same two, once their job was asked to stop. */
  waitingStopped: "v",
  activeStopped: "b",
  completed: "c",
  failed: "f",
  cancelled: "x",
  /** Failed, and to be tried again: not yet, and maybe. */
  retry: "r",
  resending: "q",
} as const;
export type Letter = (typeof LETTERS)[keyof typeof LETTERS];

/** The job of an item that was tried again. */
export type Retry = { round: number; jobId: string; uid: string };

export type Batch = {
  spec: BatchSpec;
  /** `seq` of the last event. */
  seq: number;
  /** A letter for each item, in their order. */
  items: string;
  /** By index, of the items whose job is not their first. */
  retries: Record<number, Retry>;
  /** Its tenant's, when it was submitted or last tried again. */
  tier: Tier;
  /** By index, since when a retry is owed. */
  owed: Record<number, number>;
  /** By index, why no job could be made of an item. */
  refusals: Record<number, string>;
  promptTokens: number;
  completionTokens: number;
  costNano: number;
  isCancelled: boolean;
  /** Null while it is open. */
  endedAt: number | null;
  /** Steps in a row in which no object could be reached, and when the next one is due. */
  stumbles: number;
  nextStepAt: number;
};

/** A log event as it is stored: the batch's id goes without saying. */
export type BatchLogEvent = DistributiveOmit<BatchEvent, "batch_id">;

/** The same before it has its place in the log. */
export type BatchFact = DistributiveOmit<BatchLogEvent, "seq" | "at">;

/** What is to be done for an item. */
export type Task = { index: number; type: "submit" | "resubmit" | "cancel" };

const COUNTED: Record<Letter, keyof StatusCounts> = {
  u: "waiting",
  s: "waiting",
  w: "waiting",
  v: "waiting",
  r: "waiting",
  q: "waiting",
  a: "active",
  b: "active",
  c: "completed",
  f: "failed",
  x: "cancelled",
};

export function letterAt(batch: Batch, index: number): Letter | undefined {
  return batch.items[index] as Letter | undefined;
}

/** Made of the items themselves, so that they sum to the total whatever happens. */
export function countsOf({ items }: Pick<Batch, "items">): StatusCounts {
  const counts = { completed: 0, failed: 0, active: 0, waiting: 0, cancelled: 0 };
  for (const letter of items) counts[COUNTED[letter as Letter]] += 1;
  return counts;
}

/** How an item that has ended did; null while it has not. */
export function endOf(letter: Letter | undefined): "completed" | "failed" | "cancelled" | null {
  const counted = letter === undefined ? "waiting" : COUNTED[letter];
  return counted === "waiting" || counted === "active" ? null : counted;
}

/** Rounded percents of items that completed. */
export function progressOf({ completed }: StatusCounts, total: number): number {
  return Math.round((100 * completed) / total);
}

/** The id of the first job of an item, which is its uid as well but for the prefix. Random as the batch's own. */
export function itemUid({ uid }: Pick<BatchSpec, "uid">, index: number): string {
  return `${uid}_${index}`;
}

export function itemId(spec: Pick<BatchSpec, "uid">, index: number): string {
  return `job_${itemUid(spec, index)}`;
}

/** The job that an item has now. Of one that was refused there is none of this id. */
export function jobOf({ spec, retries }: Batch, index: number): Retry {
  return retries[index] ?? { round: 0, jobId: itemId(spec, index), uid: itemUid(spec, index) };
}

/** What is to be done now, at most so much at once. Empty: it waits for its jobs, or has ended. */
export function tasksOf(batch: Batch): Task[] {
  const tasks: Task[] = [];
  for (let index = 0; index < batch.items.length && tasks.length < SIDE_BY_SIDE; index++) {
    const type = taskOf(batch, letterAt(batch, index));
    if (type !== null) tasks.push({ index, type });
  }
  return tasks;
}

function taskOf({ isCancelled }: Batch, letter: Letter | undefined): Task["type"] | null {
  if (letter === LETTERS.sending) return "submit";
  if (letter === LETTERS.resending) return "resubmit";
  const isRunning = letter === LETTERS.waiting || letter === LETTERS.active;
  return isCancelled && isRunning ? "cancel" : null;
}

/** Whether items are left whose requests are still needed. */
export function needsRequests({ items }: Batch): boolean {
  return items.includes(LETTERS.unsent) || items.includes(LETTERS.sending);
}

/** Until when it is kept; null while it is open. */
export function retainedUntil({ endedAt, spec }: Batch): number | null {
  return endedAt === null ? null : endedAt + spec.retentionMs;
}

/** When time alone has something to do. Infinity: it waits for its jobs, who tell until they are heard. */
export function wakeAt(batch: Batch): number {
  return retainedUntil(batch) ?? (tasksOf(batch).length > 0 ? batch.nextStepAt : Infinity);
}
