import type { Line } from "./lane.ts";

/** A permit that is kept for a job until then (epoch milliseconds). */
export type Reserved = { id: string; tokens: number; until: number };

/**
 * The permits of those that were rung for and have not come yet, by line and job. What is reserved later ends later, so that the
 * first is always the next to end.
 */
export class Reservations {
  readonly #lines: Record<Line, Map<string, Reserved>> = {
    high: new Map(),
    normal: new Map(),
    low: new Map(),
    long: new Map(),
    long_low: new Map(),
  };

  add(line: Line, job: string, reserved: Reserved): void {
    this.#lines[line].set(job, reserved);
  }

  has(line: Line, job: string): boolean {
    return this.#lines[line].has(job);
  }

  count(line: Line): number {
    return this.#lines[line].size;
  }

  /** This job's; null: there is none. It is reserved no more. */
  take(line: Line, job: string): Reserved | null {
    const reserved = this.#lines[line].get(job) ?? null;
    this.#lines[line].delete(job);
    return reserved;
  }

  /** The line's that has waited for longest, whosever it is. */
  takeOldest(line: Line): Reserved | null {
    const [oldest] = this.#lines[line].keys();
    return oldest === undefined ? null : this.take(line, oldest);
  }

  pass(now: number): void {
    for (const reserved of Object.values(this.#lines)) {
      for (const [job, { until }] of reserved) {
        if (until > now) break;
        reserved.delete(job);
      }
    }
  }

  /** When the first of them ends; Infinity: there are none. */
  nextUntil(): number {
    const firsts = Object.values(this.#lines).flatMap((line) => [...line.values()].slice(0, 1));
    return Math.min(Infinity, ...firsts.map(({ until }) => until));
  }
}
