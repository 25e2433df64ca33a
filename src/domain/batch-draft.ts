import {
  countsOf,
  itemUid,
  jobOf,
  LETTERS,
  progressOf,
  SIDE_BY_SIDE,
  type Batch,
  type BatchFact,
  type BatchLogEvent,
  type Letter,
  type Retry,
} from "./batch.ts";
import { iso } from "./instant.ts";

/** `dropped`: items of whom nothing will come, so that what is reserved for them is free. */
export type BatchTransition = { batch: Batch; events: BatchLogEvent[]; dropped: Dropped[] };
export type Dropped = { uid: string; submittedAt: number };

/** The names its owner gave the items, where they gave any. */
export type CustomIds = readonly (string | null)[];

/** The job that the retry of an item makes which is owed since then, as far as it is known before. */
export function retryOf(batch: Batch, index: number, since: number): Dropped & { round: number } {
  const round = jobOf(batch, index).round + 1;
  const uid = `${itemUid(batch.spec, index)}_${round}_${since}`;
  return { round, uid, submittedAt: since };
}

/** A batch while a command changes it: copied once, whatever the number of items that change. */
export class Draft {
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

function dropOf({ uid, submittedAt }: Dropped): Dropped {
  return { uid, submittedAt };
}
