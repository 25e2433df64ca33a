import type { Wish } from "./permit.ts";

/** Beyond its time, whoever was to say what was gathered is taken for lost. */
const LOST_AFTER_MS = 5_000;

/**
 * What one isolate keeps together for the object of a provider that has many to hear: the wishes of jobs that would only be parked.
 * One for all says them, once its rest is over. Values only, and instants of the isolate's own clock.
 */
export class Gathering {
  #wishes: Wish[] = [];
  #restUntil = 0;
  #sayerUntil = 0;

  /** The object has asked to be spared for so long; 0: not at all. */
  rest(ms: number, now: number): void {
    this.#restUntil = now + ms;
  }

  isResting(now: number): boolean {
    return now < this.#restUntil;
  }

  add(wish: Wish): void {
    this.#wishes.push(wish);
  }

  /** How long to wait before all is said; null: somebody else says it. */
  sayIn(now: number): number | null {
    if (now < this.#sayerUntil) return null;
    const waitMs = Math.max(0, this.#restUntil - now);
    this.#sayerUntil = now + waitMs + LOST_AFTER_MS;
    return waitMs;
  }

  /** All that is gathered, to be said now. */
  take(): Wish[] {
    this.#sayerUntil = 0;
    return this.#wishes.splice(0);
  }
}
