import type { Job } from "../domain/job.ts";
import { logFault } from "../log.ts";
import { within } from "../within.ts";

/** How soon a ledger is told again what it may not have heard. As late as the first doorbell, so that it costs no alarm of its own. */
export const TELL_AGAIN_MS = 30_000;

/** How long a ledger may take to hear of it, in milliseconds. */
const TOLD_WITHIN_MS = 10_000;

/** A ledger that keeps something of each job. */
export type Ledger = {
  /** All of a job that it is told of, in a word: while that is the same there is nothing to tell. Null: nothing at all. */
  standingOf: (job: Job) => string | null;
  tell: (job: Job, now: number) => Promise<void>;
};

/**
 * Keeps one ledger true to one job.
 *
 * What was told is remembered in memory only. A job that wakes without that memory tells again, which costs a
 * call where a record of it would cost a row for every job; each telling may be repeated without harm.
 */
export class Telling {
  readonly #ledger: Ledger;
  #told: string | null = null;
  /** What it was last told or is being told, whether or not it heard, and when. */
  #tried: { standing: string; at: number } | null = null;
  /** Told one after another, so that what came first cannot arrive last. */
  #telling: Promise<void> = Promise.resolve();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  hasTold(job: Job): boolean {
    const standing = this.#ledger.standingOf(job);
    return standing === null || this.#told === standing;
  }

  /**
   * Never rejects. What could not be told is told again by the job's alarm, not by its next event: a ledger that is
   * down must not be asked anew with every part of a text.
   */
  tell(job: Job, now: number): Promise<void> {
    const standing = this.#ledger.standingOf(job);
    if (standing === null || this.#told === standing) return this.#telling;
    const lately = this.#tried?.standing === standing && now - this.#tried.at < TELL_AGAIN_MS;
    if (lately) return this.#telling;
    this.#tried = { standing, at: now };
    this.#telling = this.#telling.then(() => this.#attempt(job, standing, now));
    return this.#telling;
  }

  async #attempt(job: Job, standing: string, now: number): Promise<void> {
    try {
      // A ledger that hangs must not keep the job awake, nor hold back what is to be told after.
      await within(TOLD_WITHIN_MS, this.#ledger.tell(job, now));
      this.#told = standing;
    } catch (error) {
      logFault("ledger.unreachable", { job_id: job.spec.id }, error);
    }
  }
}
