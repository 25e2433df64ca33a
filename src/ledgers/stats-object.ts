import { DurableObject } from "cloudflare:workers";

import { countActive } from "../domain/active.ts";
import { addToEver, NEVER } from "../domain/ever.ts";
import { merge, NOTHING, tallyOf, trim, type StatsFact } from "../domain/stats.ts";
import { startOf, type Window } from "../domain/window.ts";
import { MOST_SHARES, StatsStore, type Open } from "../storage/stats-store.ts";
import type { Counted, Total } from "./stats-rpc.ts";

/**
 * The least time between two writes of the running minute. Rows are billed, and an object that hears nothing for ten
 * seconds may lose its memory: half of that is the longest that is safe.
 */
const SAVE_MS = 5_000;

/** Far more than all lanes run side by side. What makes room was told first, and is likeliest to be over. */
const MOST_ACTIVE = 10_000;

/**
 * One shard of the statistics: counts what the jobs tell, by the minute and by the hour.
 *
 * Counts in memory and writes at most every five seconds, at once if it has not for so long, otherwise by its alarm. So
 * a crash costs the last seconds, which numbers for people can bear; no job waits for them or depends on them.
 */
export class StatsObject extends DurableObject<Env> {
  readonly #store = new StatsStore(this.ctx.storage);
  #open: Open = this.#store.open() ?? {
    minute: 0,
    tallied: NOTHING,
    active: new Map(),
    ever: NEVER,
  };
  /** All that was ever counted, as far as it is written. */
  #written = this.#open.ever;
  #savedAt = -Infinity;
  #unsaved = false;
  #armed = false;

  /** Counts a fact in the minute in which it is told. */
  async note(fact: StatsFact): Promise<void> {
    const now = Date.now();
    const turned = this.#turnTo(startOf("minute", now), now);
    const tallied = trim(merge(this.#open.tallied, tallyOf(fact)), MOST_SHARES);
    const ever = addToEver(this.#open.ever, fact, now);
    this.#open = { ...this.#open, tallied, ever };
    this.#track(fact);
    this.#unsaved = true;
    // A minute that was closed is stored as such: the row of the open one must no longer hold it.
    if (turned || now - this.#savedAt >= SAVE_MS) return this.#save(now);
    await this.#arm();
  }

  count({ unit, since }: Window): Counted {
    const { minute, tallied, active } = this.#open;
    const closed = this.#store.sum(unit, since);
    const sum = minute >= since ? merge(closed, tallied) : closed;
    return {
      tallied: trim(sum, MOST_SHARES),
      active: countActive(active.values(), Date.now()),
    };
  }

  /** Only what is written is told: a total that was less after a crash would pass for one that began anew. */
  total(): Total {
    return { ever: this.#written, active: countActive(this.#open.active.values(), Date.now()) };
  }

  override alarm(): void {
    this.#armed = false;
    if (this.#unsaved) this.#save(Date.now());
  }

  /** Puts the minute away that was open, if it is over. A clock that went back stays in the minute it came from. */
  #turnTo(minute: number, now: number): boolean {
    if (minute <= this.#open.minute) return false;
    if (this.#open.minute > 0) this.#store.close(this.#open.minute, this.#open.tallied, now);
    this.#open = { ...this.#open, minute, tallied: NOTHING };
    return true;
  }

  #track(fact: StatsFact): void {
    if (fact.type === "undelivered") return;
    const { active } = this.#open;
    // Deleted first in any case, so that the one told last is the last in order.
    active.delete(fact.job);
    if (fact.type !== "started") return;
    active.set(fact.job, { lane: fact.lane, expiresAt: fact.expiresAt });
    const [first] = active.keys();
    if (active.size > MOST_ACTIVE && first !== undefined) active.delete(first);
  }

  #save(now: number): void {
    const { active } = this.#open;
    for (const [job, { expiresAt }] of active) if (expiresAt <= now) active.delete(job);
    this.#store.saveOpen(this.#open);
    this.#written = this.#open.ever;
    this.#savedAt = now;
    this.#unsaved = false;
  }

  async #arm(): Promise<void> {
    if (this.#armed) return;
    this.#armed = true;
    await this.ctx.storage.setAlarm(this.#savedAt + SAVE_MS);
  }
}
