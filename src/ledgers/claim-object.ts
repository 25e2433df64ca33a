import { DurableObject } from "cloudflare:workers";

import { claimed, type Claim } from "../domain/claim.ts";

const KEY = "claim";

/**
 * The claim on one piece of work of one user, so that two submissions of the same within a window are one job. It
 * holds one row until its window has passed, and nothing after.
 */
export class ClaimObject extends DurableObject<Env> {
  /** Nothing is awaited between reading and storing, so of any number of claims at once one wins. */
  claim(jobId: string, windowMs: number): string {
    const held = this.#held();
    const claim = claimed(held, jobId, windowMs, Date.now());
    if (claim === held) return claim.jobId;
    this.ctx.storage.kv.put(KEY, claim);
    // Deliberately not awaited: it belongs to the same atomic write as the row.
    void this.ctx.storage.setAlarm(claim.until);
    return claim.jobId;
  }

  async release(jobId: string): Promise<void> {
    if (this.#held()?.jobId === jobId) await this.ctx.storage.deleteAll();
  }

  override async alarm(): Promise<void> {
    const { storage } = this.ctx;
    const until = this.#held()?.until ?? 0;
    // An alarm may come twice, and by then the claim may be another's.
    await (Date.now() < until ? storage.setAlarm(until) : storage.deleteAll());
  }

  #held(): Claim | null {
    return this.ctx.storage.kv.get<Claim>(KEY) ?? null;
  }
}
