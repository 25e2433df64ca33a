import {
  countsOf,
  endOf,
  itemUid,
  jobOf,
  LETTERS,
  letterAt,
  progressOf,
  SIDE_BY_SIDE,
} from "./batch.ts";
import type { Batch, BatchFact, BatchLogEvent, BatchSpec, Letter, Retry } from "./batch.ts";
import type { Told } from "./batch-place.ts";
import { iso } from "./instant.ts";

/** What came of one task. `unreachable`: nobody knows. */
export type Outcome = { index: number } & (
  | ({ type: "submitted" } & Retry)
  | { type: "refused"; detail: string }
  /** Its job was here, and has been deleted. */
  | { type: "gone" }
  | { type: "asked" }
  | { type: "unreachable" }
);

export type BatchCommand =
  | { type: "step"; outcomes: Outcome[] }
  | { type: "hear"; told: Told[] }
  | { type: "cancel" }
  /** Try these again, those of them that have failed. */
  | { type: "retry"; indexes: number[] };

/** `dropped`: items of whom nothing will come, so that what is reserved for them is free. */
export type BatchTransition = { batch: Batch; events: BatchLogEvent[]; dropped: Dropped[] };
export type Dropped = { uid: string; submittedAt: number };

/** An object that is being reset is back in seconds; nothing is ever given up. */
const PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

/** `customIds`: of the items, where they have any. */
export type CustomIds = readonly (string | null)[];

/** A batch as it is accepted, its first items on their way. */
export function acceptBatch(spec: BatchSpec): BatchTransition {
  const batch: Batch = {
    spec,
    seq: 0,
    items: LETTERS.unsent.repeat(spec.total),
    retries: {},
    owed: {},
    refusals: {},
    promptTokens: 0,
    completionTokens: 0,
    costNano: 0,
    isCancelled: false,
    endedAt: null,
    stumbles: 0,
    nextStepAt: spec.submittedAt,
  };
  const draft = new Draft(batch, []);
  draft.facts.push({ type: "queued", total: spec.total });
  return draft.finished(spec.submittedAt);
}

/** The batch after a command, and its new events. Pure; the very same batch where the command changes nothing. */
export function batchTransition(
  batch: Batch,
  command: BatchCommand,
  customIds: CustomIds,
  now: number,
): BatchTransition {
  const draft = new Draft(batch, customIds);
  switch (command.type) {
    case "step":
      for (const outcome of command.outcomes) settle(draft, outcome);
      pace(draft, command.outcomes, now);
      break;
    case "hear":
      for (const told of command.told) hear(draft, told);
      break;
    case "cancel":
      cancel(draft, now);
      break;
    case "retry":
      retry(draft, command.indexes, now);
      break;
  }
  return draft.finished(now);
}

/** What is told of a job: of an earlier round it is old news, of a later one it takes the item along. */
function hear(draft: Draft, told: Told): void {
  const { index, round, jobId, uid, status } = told;
  const known = jobOf(draft.batch, index).round;
  if (draft.letter(index) === undefined || round < known) return;
  if (round > known) {
    const hasEnded = endOf(draft.letter(index)) !== null;
    // A cancelled batch is final: who tries one of its jobs again has a job of their own.
    if (draft.batch.isCancelled && hasEnded) return;
    // Somebody else tried it again: with what was reserved for the batch's own retry nothing is done.
    const since = draft.batch.owed[index];
    if (since !== undefined && retryOf(draft.batch, index, since).uid !== uid) draft.drop(index);
    draft.take(index, { round, jobId, uid });
    if (hasEnded) draft.reopened += 1;
  }
  const letter = draft.letter(index);
  if (status === "active") {
    if (letter === LETTERS.sending || letter === LETTERS.waiting) draft.put(index, LETTERS.active);
    if (letter === LETTERS.waitingStopped) draft.put(index, LETTERS.activeStopped);
    return;
  }
  if (letter === undefined || !IN_A_JOB.has(letter)) return;
  draft.end(index, status);
  draft.batch.promptTokens += told.promptTokens;
  draft.batch.completionTokens += told.completionTokens;
  draft.batch.costNano += told.costNano;
}

/** Letters of items that may have a job which has not ended. One whose retry is owed is not: its job has failed. */
const IN_A_JOB: ReadonlySet<Letter> = new Set([
  LETTERS.sending,
  LETTERS.waiting,
  LETTERS.active,
  LETTERS.waitingStopped,
  LETTERS.activeStopped,
]);

function settle(draft: Draft, outcome: Outcome): void {
  const { index } = outcome;
  const letter = draft.letter(index);
  const isSending = letter === LETTERS.sending || letter === LETTERS.resending;
  if (outcome.type === "asked") {
    if (letter === LETTERS.waiting) draft.put(index, LETTERS.waitingStopped);
    if (letter === LETTERS.active) draft.put(index, LETTERS.activeStopped);
    return;
  }
  // Its job may have told more than the step knows.
  if (!isSending || outcome.type === "unreachable") return;
  if (outcome.type === "submitted") {
    const { round, jobId, uid } = outcome;
    if (letter === LETTERS.resending) draft.take(index, { round, jobId, uid });
    else draft.put(index, LETTERS.waiting);
    return;
  }
  draft.drop(index);
  if (outcome.type === "gone") return draft.end(index, "cancelled");
  if (letter === LETTERS.sending) draft.batch.refusals[index] = outcome.detail;
  draft.end(index, "failed");
}

/** The next step is made at once, unless the last one met nobody. */
function pace(draft: Draft, outcomes: Outcome[], now: number): void {
  const { batch } = draft;
  const isStuck = outcomes.length > 0 && outcomes.every(({ type }) => type === "unreachable");
  batch.stumbles = isStuck ? batch.stumbles + 1 : 0;
  const pause = Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** (batch.stumbles - 1));
  batch.nextStepAt = isStuck ? now + pause : Math.min(batch.nextStepAt, now);
}

function cancel(draft: Draft, now: number): void {
  const { batch } = draft;
  if (batch.isCancelled || batch.endedAt !== null) return;
  batch.isCancelled = true;
  batch.nextStepAt = Math.min(batch.nextStepAt, now);
  for (let index = 0; index < batch.spec.total; index++) {
    const letter = draft.letter(index);
    if (letter !== LETTERS.unsent && letter !== LETTERS.retry) continue;
    draft.drop(index);
    draft.end(index, "cancelled");
  }
}

function retry(draft: Draft, indexes: number[], now: number): void {
  const { batch } = draft;
  if (batch.isCancelled) return;
  for (const index of indexes) {
    if (!isRetryable(batch, draft.letter(index), index)) continue;
    draft.put(index, LETTERS.retry);
    batch.owed[index] = now;
    draft.reopened += 1;
  }
}

/** Items that failed and have a job to be tried again; one of which no job could be made has not. */
export function retryable(batch: Batch): number[] {
  const indexes = Array.from({ length: batch.spec.total }, (_, index) => index);
  return indexes.filter((index) => isRetryable(batch, letterAt(batch, index), index));
}

function isRetryable(batch: Batch, letter: Letter | undefined, index: number): boolean {
  return letter === LETTERS.failed && batch.refusals[index] === undefined;
}

/** The job that the retry of an item makes which is owed since then, as far as it is known before. */
export function retryOf(batch: Batch, index: number, since: number): Dropped & { round: number } {
  const round = jobOf(batch, index).round + 1;
  const uid = `${itemUid(batch.spec, index)}_${round}_${since}`;
  return { round, uid, submittedAt: since };
}

function dropOf({ uid, submittedAt }: Dropped): Dropped {
  return { uid, submittedAt };
}

/** A batch while a command changes it: copied once, whatever the number of items that change. */
class Draft {
  readonly batch: Batch;
  readonly facts: BatchFact[] = [];
  readonly dropped: Dropped[] = [];
  /** Items that had ended and go on. */
  reopened = 0;
  readonly #before: Batch;
  readonly #letters: Letter[];
  readonly #customIds: CustomIds;

  constructor(before: Batch, customIds: CustomIds) {
    const { retries, owed, refusals } = before;
    this.#before = before;
    this.batch = {
      ...before,
      retries: { ...retries },
      owed: { ...owed },
      refusals: { ...refusals },
    };
    this.#letters = before.items.split("") as Letter[];
    this.#customIds = customIds;
  }

  letter(index: number): Letter | undefined {
    return this.#letters[index];
  }

  put(index: number, letter: Letter): void {
    this.#letters[index] = letter;
  }

  /** The item has another job now, which waits. */
  take(index: number, retry: Retry): void {
    this.batch.retries[index] = retry;
    delete this.batch.owed[index];
    this.put(index, LETTERS.waiting);
  }

  end(index: number, status: "completed" | "failed" | "cancelled"): void {
    this.put(index, LETTERS[status]);
    delete this.batch.owed[index];
    const { jobId: job_id } = jobOf(this.batch, index);
    const custom_id = this.#customIds[index] ?? null;
    this.facts.push({ type: `item_${status}`, index, custom_id, job_id });
  }

  /** No job will be made of the item as it stands. */
  drop(index: number): void {
    const { owed, spec } = this.batch;
    const since = owed[index];
    const first = { uid: itemUid(spec, index), submittedAt: spec.submittedAt };
    this.dropped.push(since === undefined ? first : dropOf(retryOf(this.batch, index, since)));
  }

  /** Sends the next items on their way, says how far it has come, and ends what has ended. */
  finished(now: number): BatchTransition {
    const { batch, facts, dropped } = this;
    this.#sendNext();
    batch.items = this.#letters.join("");
    const [before, counts] = [countsOf(this.#before), countsOf(batch)];
    if (this.reopened > 0 && batch.endedAt !== null) {
      batch.endedAt = null;
      batch.nextStepAt = now;
    }
    if (this.reopened > 0) facts.unshift({ type: "reopened", items: this.reopened });
    const progress = progressOf(counts, batch.spec.total);
    const isMoved = JSON.stringify(before) !== JSON.stringify(counts);
    if (isMoved) facts.push({ type: "progress", status_counts: counts, progress });
    if (batch.endedAt === null && counts.waiting + counts.active === 0) {
      batch.endedAt = now;
      const type = batch.isCancelled ? "cancelled" : "completed";
      facts.push({ type, status_counts: counts, progress });
    }
    const at = iso(now);
    const { seq } = batch;
    const events = facts.map((fact, place) => Object.assign(fact, { seq: seq + place + 1, at }));
    batch.seq += events.length;
    const isSame = JSON.stringify(batch) === JSON.stringify(this.#before);
    return { batch: isSame ? this.#before : batch, events, dropped };
  }

  #sendNext(): void {
    let inFlight = this.#letters.filter(
      (letter) => letter === LETTERS.sending || letter === LETTERS.resending,
    ).length;
    for (let index = 0; index < this.#letters.length && inFlight < SIDE_BY_SIDE; index++) {
      const letter = this.letter(index);
      if (letter !== LETTERS.unsent && letter !== LETTERS.retry) continue;
      this.put(index, letter === LETTERS.unsent ? LETTERS.sending : LETTERS.resending);
      inFlight += 1;
    }
  }
}
