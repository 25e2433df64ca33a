import type { Lane } from "./lane.ts";

/** How many calls of each lane may be under way at once. */
export type Concurrency = Readonly<Record<Lane, number>>;

/** A block holds at most this part of the places that are left to blocks, so that others find some as well. */
const BLOCK_SHARE = 1 / 8;

type Held = { lane: Lane; calls: number; until: number };

/**
 * The places of each lane at one provider: one for every call that is under way, or permitted and still to come. Those that nobody
 * gives back are free again once their calls must be over. Instants in epoch milliseconds.
 */
export class Places {
  readonly concurrency: Concurrency;
  readonly #held = new Map<string, Held>();
  readonly #taken: Record<Lane, number> = { high: 0, normal: 0, low: 0, long: 0 };

  /** No place is free by its time before this. */
  #noneBefore = Infinity;

  constructor(concurrency: Concurrency) {
    this.concurrency = concurrency;
  }

  taken(lane: Lane): number {
    return this.#taken[lane];
  }

  hasRoom(lane: Lane): boolean {
    return this.#taken[lane] < this.concurrency[lane];
  }

  /** So far from being full that nobody need hear at once which calls are over, and calls may be permitted ahead. */
  isQuiet(lane: Lane): boolean {
    return this.#taken[lane] < this.concurrency[lane] / 2;
  }

  /** How many places one block may have. */
  block(lane: Lane): number {
    return Math.floor((this.concurrency[lane] / 2 - this.#taken[lane]) * BLOCK_SHARE);
  }

  /** `until`: when all these calls must be over. */
  take(id: string, held: Held): void {
    this.#held.set(id, { ...held });
    this.#taken[held.lane] += held.calls;
    this.#noneBefore = Math.min(this.#noneBefore, held.until);
  }

  /** Of these places no more than so many are still needed. Safe to repeat, and of those that are free it changes nothing. */
  keep(id: string, calls: number): void {
    const held = this.#held.get(id);
    if (held === undefined || calls >= held.calls) return;
    this.#taken[held.lane] -= held.calls - calls;
    held.calls = calls;
    if (calls === 0) this.#held.delete(id);
  }

  pass(now: number): void {
    if (now < this.#noneBefore) return;
    for (const [id, { until }] of this.#held) if (until <= now) this.keep(id, 0);
    this.#noneBefore = this.#firstUntil([...this.#held.values()]);
  }

  /** When the next place of these lanes is free, though nobody says so. */
  nextUntil(lanes: readonly Lane[]): number {
    return this.#firstUntil([...this.#held.values()].filter(({ lane }) => lanes.includes(lane)));
  }

  #firstUntil(held: Held[]): number {
    return Math.min(Infinity, ...held.map(({ until }) => until));
  }
}
