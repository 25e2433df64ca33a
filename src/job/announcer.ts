import type { AlarmClock } from "../alarm-clock.ts";
import { writePoint } from "./analytics.ts";
import { batchStandingOf, toldOf } from "../domain/batch-place.ts";
import { bareBill, billOf } from "../domain/bill.ts";
import { dlqIdOf, hasEnded, type Job, type LogEvent } from "../domain/job.ts";
import { listingKeyOf, listingOf } from "../domain/listing.ts";
import { statsFactOf } from "../domain/stats-fact.ts";
import { batchOf } from "../ledgers/batch-stub.ts";
import { accountOf } from "../ledgers/account-stub.ts";
import { deadLetters } from "../ledgers/dead-letter-stub.ts";
import { shardFor } from "../ledgers/listing-stub.ts";
import { tellStats } from "../ledgers/stats-stub.ts";
import { TELL_AGAIN_MS, Telling } from "./telling.ts";

/**
 * Keeps the ledgers true to one job: its entry in its tenant's list, what it cost in its tenant's account, how it
 * stands in its batch, and that nothing of it is left when it is deleted. Each ledger hears for itself, so that one that is down holds up no other.
 */
export class Announcer {
  readonly #env: Env;
  /** Of the job's object. */
  readonly #name: string;
  readonly #alarm: AlarmClock;
  readonly #tellings = [
    new Telling({ standingOf, tell: (job, now) => this.#tellList(job, now) }),
    new Telling({ standingOf: costOf, tell: (job) => this.#tellAccount(job) }),
    new Telling({ standingOf: batchStandingOf, tell: (job) => this.#tellBatch(job) }),
  ];

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
    return this.#tellings.every((telling) => telling.hasTold(job));
  }

  /** Never rejects. */
  async tell(job: Job, now: number): Promise<void> {
    await Promise.all(this.#tellings.map((telling) => telling.tell(job, now)));
  }

  /** Lets the statistics and the analytics know of an event, if it is any of theirs. Nobody waits for them, and what they do not hear is not counted. */
  count(job: Job, event: LogEvent): void {
    const fact = statsFactOf(this.#name, job, event);
    if (fact === null) return;
    void tellStats(this.#env, fact);
    writePoint(this.#env, job, fact);
  }

  async #tellList(job: Job, now: number): Promise<void> {
    const listings = await shardFor(this.#env, job.spec.tenant, job.spec.id);
    const listing = listingOf(job, now);
    if (listing !== null) return listings.put(listing);
    await listings.remove(listingKeyOf(job));
    if (job.status === "purged" && job.letterToo) {
      await deadLetters(this.#env).remove(dlqIdOf(job.spec));
    }
  }

  async #tellAccount(job: Job): Promise<void> {
    const bill = billOf(job);
    if (bill === null) return;
    const { tenant, uid, submittedAt } = job.spec;
    const account = await accountOf(this.#env, tenant);
    await account.settle({ uid, submittedAt, job: this.#name }, bill);
  }

  async #tellBatch(job: Job): Promise<void> {
    const told = toldOf(job);
    if (told === null || job.spec.batch === undefined) return;
    await (await batchOf(this.#env, job.spec.tenant, job.spec.batch.id)).hear(told);
  }
}

/** All that the list is told of: open, how it ended and whether its cost is final, or gone. */
function standingOf(job: Job): string {
  if (!hasEnded(job)) return job.status === "purged" ? "purged" : "open";
  const estimates = job.attempts.filter(({ usage }) => usage?.estimated === true).length;
  return `${job.status} with ${estimates} estimates`;
}

/** All that the account is told of: nothing until it has ended. Whose it was does not change. */
function costOf(job: Job): string | null {
  const bill = bareBill(job);
  return bill === null ? null : JSON.stringify(bill);
}
