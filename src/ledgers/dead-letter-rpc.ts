import type {
  DeadLetter,
  LetterFilter,
  LetterGroup,
  LetterPosition,
  LetterSummary,
} from "../domain/dead-letter.ts";
import type { Action, Operation, Selection } from "../domain/operation.ts";
import type { Refusal } from "../submit/models.ts";

/** The ledger of dead letters as the jobs know it. Each call may be repeated without harm. */
export interface DeadLetterRpc {
  /** Adds those that were never there; one that was dealt with meanwhile stays away. At most 32 MiB in a call (platform limit). */
  add(letters: DeadLetter[]): Promise<void>;
  /** Its job was deleted: nothing of it may remain, nor come. */
  remove(dlqId: string): Promise<void>;
  /** The owner tried its job again by itself, as this new one. A letter that is not known is ignored. */
  retried(dlqId: string, newJobId: string): Promise<void>;
}

/** One page of the list: what fits, how many there are in all, and where the next page begins. */
export type LetterPage = {
  letters: LetterSummary[];
  total: number;
  next: LetterPosition | null;
};

/** A letter in full, as it is kept. */
export type WholeLetter = DeadLetter & Pick<LetterSummary, "fingerprint" | "preview">;

export type Retried =
  | { type: "resubmitted"; jobId: string; newJobId: string }
  /** What its job asks for is no longer to be had, or its new job is gone; the letter stays. */
  | { type: "refused"; refusals: Refusal[] }
  | { type: "unknown" };

/** The same ledger as its operators know it. */
export interface DeadLetterDesk extends DeadLetterRpc {
  list(filter: LetterFilter, before: LetterPosition | null, limit: number): Promise<LetterPage>;
  groups(filter: LetterFilter): Promise<LetterGroup[]>;
  /** How many letters are open. */
  depth(): Promise<number>;
  read(dlqId: string): Promise<WholeLetter | null>;
  /** Submits its job once more and closes the letter. Repeated, it answers with the same new job. */
  retry(dlqId: string): Promise<Retried>;
  /** False: there is no such letter, or it was dealt with. */
  discard(dlqId: string): Promise<boolean>;
  /** Begins to deal with all letters selected, as they are now. */
  start(action: Action, selection: Selection, ratePerSecond: number): Promise<Operation>;
  operation(operationId: string): Promise<Operation | null>;
}
