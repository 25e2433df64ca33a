const MINUTE_MS = 60_000;

/** What of a minute's limit may be taken at once after a rest. The rest comes evenly, so no minute begins with a rush. */
const BURST_SHARE = 0.1;

/** Rounding must not keep back what is due. */
const EPSILON = 1e-9;

/**
 * What a meter holds when it is full: two at least, so that the next accrues while one is on its way. A limit so small that
 * the second would be a large part of it has one.
 */
export function burstOf(limit: number): number {
  return Math.max(limit < 5 ? 1 : 2, limit * BURST_SHARE);
}

/** What accrues in a second. One more than the limit's rest: a whole bucket takes at least a burst less than one, and no part of one is used. */
export function accrualOf(limit: number): number {
  return ((limit + 1 - burstOf(limit)) * 1_000) / MINUTE_MS;
}

/**
 * One kind of thing a provider counts by the minute, requests or tokens: a bucket that fills evenly.
 *
 * What was taken and may still be used stays in the bucket's room until it is settled, so by the time things are used,
 * and not only by that at which they were taken, no 60 seconds hold more than the limit: at their beginning there is at
 * most a burst, free or taken, and what accrues comes to the rest.
 */
export class Meter {
  /** Null: without a limit, and nothing is counted. */
  #limit: number | null = null;
  /** Below 0: more was used than was foreseen. */
  #level = 0;
  #taken = 0;

  get limit(): number | null {
    return this.#limit;
  }

  /** Sets what a minute may hold. What had no limit before begins empty: nobody knows what was used. */
  set limit(limit: number | null) {
    this.#limit = limit;
    if (limit === null) this.#level = this.#taken = 0;
    else this.accrue(0);
  }

  accrue(ms: number): void {
    const limit = this.#limit;
    if (limit === null) return;
    const accrued = (ms * accrualOf(limit)) / 1_000;
    this.#level = Math.min(this.#level + accrued, burstOf(limit) - this.#taken);
  }

  /** How much there is to take, in whole. */
  free(leave: number): number {
    if (this.#limit === null) return Infinity;
    return Math.floor(this.#level - leave * burstOf(this.#limit) + EPSILON);
  }

  /**
   * Milliseconds until so much may be taken and a share of the burst is left; 0: now. More than a whole burst needs no
   * more than that: it is owed afterwards. Infinity: only once what was taken is settled.
   */
  waitMs(amount: number, leave: number): number {
    const limit = this.#limit;
    if (limit === null) return 0;
    const burst = burstOf(limit);
    const needed = Math.min(amount + leave * burst, burst) - EPSILON;
    if (this.#level >= needed) return 0;
    if (needed > burst - this.#taken) return Infinity;
    return ((needed - this.#level) * 1_000) / accrualOf(limit);
  }

  take(amount: number): void {
    if (this.#limit === null) return;
    this.#level -= amount;
    this.#taken += amount;
  }

  /** What was taken is used, but for the rest, which comes back. */
  settle(amount: number, rest: number): void {
    if (this.#limit === null) return;
    this.#taken = Math.max(0, this.#taken - amount);
    this.correct(rest);
  }

  /** So much less was used than was taken; negative: more. */
  correct(rest: number): void {
    if (this.#limit === null) return;
    this.#level += rest;
    this.accrue(0);
  }
}
