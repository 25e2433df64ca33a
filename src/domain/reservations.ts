import type { Lane } from "./lane.ts";

/** A permit that is kept for a job until then (epoch milliseconds). */
export type Reserved = { id: string; tokens: number; until: number };

/**
 * The permits of those that were rung for and have not come yet, by lane and job. What is reserved later ends later, so that the
 * first is always the next to end.
 */
export class Reservations {
  readonly #lanes: Record<Lane, Map<string, Reserved>> = {
    high: new Map(),
    normal: new Map(),
    low: new Map(),
    long: new Map(),
  };

  add(lane: Lane, job: string, reserved: Reserved): void {
    this.#lanes[lane].set(job, reserved);
  }

  has(lane: Lane, job: string): boolean {
    return this.#lanes[lane].has(job);
  }

  count(lane: Lane): number {
    return this.#lanes[lane].size;
  }

  /** This job's; null: there is none. It is reserved no more. */
  take(lane: Lane, job: string): Reserved | null {
    const reserved = this.#lanes[lane].get(job) ?? null;
    this.#lanes[lane].delete(job);
    return reserved;
  }

  /** The lane's that has waited for longest, whosever it is. */
  takeOldest(lane: Lane): Reserved | null {
    const [oldest] = this.#lanes[lane].keys();
    return oldest === undefined ? null : this.take(lane, oldest);
  }

  pass(now: number): void {
    for (const reserved of Object.values(this.#lanes)) {
      for (const [job, { until }] of reserved) {
        if (until > now) break;
        reserved.delete(job);
      }
    }
  }

  /** When the first of them ends; Infinity: there are none. */
  nextUntil(): number {
    const firsts = Object.values(this.#lanes).flatMap((lane) => [...lane.values()].slice(0, 1));
    return Math.min(Infinity, ...firsts.map(({ until }) => until));
  }
}
