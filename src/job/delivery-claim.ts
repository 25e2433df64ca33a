import type { Job } from "../domain/job.ts";
import { nextDelivery } from "../domain/outbox.ts";
import { owedOf } from "./job-reading.ts";
import type { NextDelivery } from "./job-rpc.ts";
import type { JobStore } from "../storage/job-store.ts";

/** An attempt that has not said how it went so long after its time was up, in milliseconds, has died. */
const GRACE_MS = 5_000;

type Claimant = { token: string; forMs: number };

/**
 * Who is at the deliveries of a job or a batch just now: one consumer at a time. In memory only, for a row would cost more than it
 * saves: after a crash the receiver may get an event twice, which it must be able to bear anyway.
 */
export class DeliveryClaim {
  #held: { token: string; until: number } | null = null;

  /** What this consumer is to attempt now of a job's, for `forMs`. Asked again with the same token it is the same. */
  next(job: Job | null, claimant: Claimant, store: JobStore, now: number): NextDelivery {
    const delivery = job === null ? null : nextDelivery(job.outbox, now);
    if (job === null || delivery === null || !this.take(claimant, now)) return { type: "none" };
    return owedOf(job, delivery, store);
  }

  release(token: string): void {
    if (this.#held?.token === token) this.#held = null;
  }

  /** False: somebody else is at it. */
  take({ token, forMs }: Claimant, now: number): boolean {
    if (this.#held !== null && this.#held.token !== token && now < this.#held.until) return false;
    this.#held = { token, until: now + forMs + GRACE_MS };
    return true;
  }
}
