import { endOf, jobOf, LETTERS, letterAt } from "./batch.ts";
import type { Batch, BatchSpec, Letter, Retry } from "./batch.ts";
import { Draft, retryOf, type BatchTransition, type CustomIds } from "./batch-draft.ts";
import type { Told } from "./batch-place.ts";
import { tend, type BatchWebhookCommand } from "./batch-webhook.ts";
import type { Tier } from "../schema/job.ts";

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
  | { type: "retry"; indexes: number[]; tier: Tier }
  | BatchWebhookCommand;

/** An object that is being reset is back in seconds; nothing is ever given up. */
const PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

/** A batch as it is accepted, its first items on their way. */
export function acceptBatch(spec: BatchSpec): BatchTransition {
  const batch: Batch = {
    spec,
    seq: 0,
    items: LETTERS.unsent.repeat(spec.total),
    retries: {},
    tier: spec.tier,
    owed: {},
    refusals: {},
    promptTokens: 0,
    completionTokens: 0,
    costNano: 0,
    isCancelled: false,
    endedAt: null,
    stumbles: 0,
    nextStepAt: spec.submittedAt,
    outbox: [],
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
      retry(draft, command, now);
      break;
    case "settle":
    case "replay":
    case "ring":
      tend(draft, command, now);
      break;
  }
  return draft.finished(now);
}

/**
 * What is told of a job: of an earlier round it is old news, of a later one it takes the item along. Of another batch's,
 * which had the id before, it is nothing.
 */
function hear(draft: Draft, told: Told): void {
  const { batchUid, index, round, jobId, uid, status } = told;
  if (batchUid !== draft.batch.spec.uid) return;
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

function retry(
  draft: Draft,
  { indexes, tier }: Extract<BatchCommand, { type: "retry" }>,
  now: number,
): void {
  const { batch } = draft;
  if (batch.isCancelled) return;
  for (const index of indexes) {
    if (!isRetryable(batch, draft.letter(index), index)) continue;
    batch.tier = tier;
    draft.put(index, LETTERS.retry);
    batch.owed[index] = now;
    draft.reopened += 1;
  }
}

/** Items that failed and have a job to be tried again; one of which no job could be made has not. A cancelled batch is final. */
export function retryable(batch: Batch): number[] {
  if (batch.isCancelled) return [];
  const indexes = Array.from({ length: batch.spec.total }, (_, index) => index);
  return indexes.filter((index) => isRetryable(batch, letterAt(batch, index), index));
}

function isRetryable(batch: Batch, letter: Letter | undefined, index: number): boolean {
  return letter === LETTERS.failed && batch.refusals[index] === undefined;
}
