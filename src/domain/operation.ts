import type { LetterFilter } from "./dead-letter.ts";

/** What an operation does with each letter: submit its job again, or drop it. */
export type Action = "retry" | "discard";

/** Letters named one by one, or all that fit a filter. */
export type Selection = { ids: string[] } | { filter: LetterFilter };

/** One letter that could not be dealt with, for people. */
type OperationError = { dlqId: string; detail: string };

/** A piece of work on many letters, carried on in steps. Instants are epoch milliseconds. */
export type Operation = {
  operationId: string;
  action: Action;
  selection: Selection;
  /** The last letter there was when it was asked for: later ones are none of its business. */
  lastLetter: number;
  /** The last letter it is through with. */
  cursor: number;
  matched: number;
  done: number;
  refused: number;
  ratePerSecond: number;
  startedAt: number;
  /** Null: it goes on. */
  endedAt: number | null;
  nextStepAt: number;
  /** Steps in a row that ended at a job that could not be reached. */
  stumbles: number;
  errors: OperationError[];
};

/**
 * What became of one letter; `id` is its place in the order of letters. `newJobId`: of the job submitted for it, if it
 * was. `overtaken`: somebody else dealt with it meanwhile, and it does not count. `unreachable`: nobody knows yet.
 */
export type Outcome = { id: number; dlqId: string } & (
  | { type: "done"; newJobId: string | null }
  | { type: "refused"; detail: string }
  | { type: "overtaken" }
  | { type: "unreachable" }
);

/**
 * Letters dealt with side by side, at most. By bytes as well, because each is in memory several times while its job is
 * submitted (as it is kept, as text, parsed, sent), and an isolate has 128 MB for all it does (platform limit).
 */
export const SIDE_BY_SIDE = 32;
const SIDE_BY_SIDE_BYTES = 4_194_304;

/** The first of these letters, as many as may be dealt with side by side; one at least, however large it is. */
export function batchOf<T extends { bytes: number }>(letters: T[]): T[] {
  let bytes = 0;
  const end = letters.findIndex((letter, at) => {
    bytes += letter.bytes;
    return at > 0 && (at >= SIDE_BY_SIDE || bytes > SIDE_BY_SIDE_BYTES);
  });
  return end === -1 ? letters : letters.slice(0, end);
}

/** One second of work at a time. */
export const STEP_MS = 1_000;

/** An object that is being reset is back in seconds; this gives it about a minute. */
const MAX_STUMBLES = 6;
const MAX_ERRORS = 5;

/**
 * The operation after a batch of outcomes, which are in the letters' order.
 *
 * It does not pass a letter whose job could not be reached: it comes back to it after a pause, several times, so a
 * passing fault costs an operation time and no letter. Then that counts as a refusal, and the operation goes on.
 */
export function advance(operation: Operation, outcomes: Outcome[], now: number): Operation {
  const stuck = outcomes.find(({ type }) => type === "unreachable");
  const patient = stuck !== undefined && operation.stumbles < MAX_STUMBLES;
  const passed = patient ? outcomes.filter(({ id }) => id < stuck.id) : outcomes;
  const refusals = passed.flatMap(errorOf);
  const progressed = {
    ...operation,
    cursor: passed.at(-1)?.id ?? operation.cursor,
    // Those behind the one that is waited for are gone as well, and will not be seen again.
    done: operation.done + outcomes.filter(({ type }) => type === "done").length,
    refused: operation.refused + refusals.length,
    errors: [...operation.errors, ...refusals].slice(0, MAX_ERRORS),
  };
  if (!patient) return { ...progressed, stumbles: 0 };
  const stumbles = passed.length > 0 ? 1 : operation.stumbles + 1;
  return { ...progressed, stumbles, nextStepAt: now + STEP_MS * 2 ** (stumbles - 1) };
}

function errorOf(outcome: Outcome): OperationError[] {
  const { dlqId } = outcome;
  switch (outcome.type) {
    case "done":
    case "overtaken":
      return [];
    case "refused":
      return [{ dlqId, detail: outcome.detail }];
    case "unreachable":
      return [{ dlqId, detail: "The job could not be reached" }];
  }
}
