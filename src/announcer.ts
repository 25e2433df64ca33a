import type { AlarmClock } from "./alarm-clock.ts";
import { writePoint } from "./analytics.ts";
import { dlqIdOf, hasEnded, type Job, type LogEvent } from "./domain/job.ts";
import { listingKeyOf, listingOf } from "./domain/listing.ts";
import { statsFactOf } from "./domain/stats-fact.ts";
import { deadLetters } from "./ledgers/dead-letter-stub.ts";
import { shardFor } from "./ledgers/listing-stub.ts";
import { tellStats } from "./ledgers/stats-stub.ts";
import { logFault } from "./log.ts";
import { within } from "./within.ts";

/** How soon the ledgers are told again what they may not have heard. As late as the first doorbell, so that it costs no alarm of its own. */
export const TELL_AGAIN_MS = 30_000;

/** How long the ledgers may take to hear of it, in milliseconds. */
const TOLD_WITHIN_MS = 10_000;

/**
 * Keeps the ledgers true to one job: its entry in its tenant's list, and that nothing of it is left when it is
 * deleted.
 *
 * What was told is remembered in memory only. A job that wakes without that memory tells again, which costs a
 * call where a record of it would cost a row for every job; each telling may be repeated without harm.
 */
export class Announcer {
  readonly #env: Env;
  /** Of the job's object. */
  readonly #name: string;
  readonly #alarm: AlarmClock;
  #told: string | null = null;
  /** What they were last told or are being told, whether or not they heard it, and when. */
  #tried: { standing: string; at: number } | null = null;
  /** Told one after another, so that what came first cannot arrive last. */
  #telling: Promise<void> = Promise.resolve();

  constructor(env: Env, name: string, alarm: AlarmClock) {
    this.#env = env;
    this.#name = name;
    this.#alarm = alarm;
  }

  /**
   * Tells how the job stands, if that is not known to have been heard. After a change the alarm makes sure of it, set
   * in the same write; a job that has only lost its memory tells again, and sleeps on. Never rejects.
   */
  async announce(job: Job, changed: boolean): Promise<void> {
    if (this.hasTold(job)) return;
    if (changed) this.#alarm.set(Date.now() + TELL_AGAIN_MS);
    await this.tell(job, Date.now());
    if (!this.hasTold(job)) this.#alarm.set(Date.now() + TELL_AGAIN_MS);
  }

  /** Whether the ledgers know how the job stands. */
  hasTold(job: Job): boolean {
    return this.#told === standingOf(job);
  }

  /**
   * Never rejects. What could not be told is told again by the job's alarm, not by its next event: ledgers that are
   * down must not be asked anew with every part of a text.
   */
  tell(job: Job, now: number): Promise<void> {
    const standing = standingOf(job);
    if (this.#told === standing) return this.#telling;
    const lately = this.#tried?.standing === standing && now - this.#tried.at < TELL_AGAIN_MS;
    if (lately) return this.#telling;
    this.#tried = { standing, at: now };
    this.#telling = this.#telling.then(() => this.#attempt(job, now));
    return this.#telling;
  }

  /** Lets the statistics and the analytics know of an event, if it is any of theirs. Nobody waits for them, and what they do not hear is not counted. */
  count(job: Job, event: LogEvent): void {
    const fact = statsFactOf(this.#name, job, event);
    if (fact === null) return;
    void tellStats(this.#env, fact);
    writePoint(this.#env, job, fact);
  }

  async #attempt(job: Job, now: number): Promise<void> {
    try {
      // A ledger that hangs must not keep the job awake, nor hold back what is to be told after.
      await within(TOLD_WITHIN_MS, this.#tell(job, now));
      this.#told = standingOf(job);
    } catch (error) {
      logFault("ledger.unreachable", { job_id: job.spec.id }, error);
    }
  }

  async #tell(job: Job, now: number): Promise<void> {
    const listings = await shardFor(this.#env, job.spec.tenant, job.spec.id);
    const listing = listingOf(job, now);
    if (listing !== null) return listings.put(listing);
    await listings.remove(listingKeyOf(job));
    if (job.status === "purged" && job.letterToo) {
      await deadLetters(this.#env).remove(dlqIdOf(job.spec));
    }
  }
}

/** All that the ledgers are told of: open, how it ended and whether its cost is final, or gone. */
function standingOf(job: Job): string {
  if (!hasEnded(job)) return job.status === "purged" ? "purged" : "open";
  const estimates = job.attempts.filter(({ usage }) => usage?.estimated === true).length;
  return `${job.status} with ${estimates} estimates`;
}
