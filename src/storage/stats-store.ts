import type { Active } from "../domain/active.ts";
import { NEVER, type Ever } from "../domain/ever.ts";
import { merge, NOTHING, trim, wholeOf, type Tallied } from "../domain/stats.ts";
import { keptSince, startOf, type Unit } from "../domain/window.ts";

/** The minute that runs, the jobs that do, and all that was ever counted, that minute included. */
export type Open = { minute: number; tallied: Tallied; active: Map<string, Active>; ever: Ever };

/** Shares kept in one row: a row holds 2 MB (platform limit), and 200 of the longest names are a tenth of that. */
export const MOST_SHARES = 200;

const OPEN = "open";

/**
 * A statistics object's rows (docs/storage.md): one that is written again and again while its minute runs, one for each
 * minute that is over, one for each hour. A row of an older version may lack what has been added since: it counted none.
 */
export class StatsStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  open(): Open | null {
    const open = this.#storage.kv.get<Omit<Open, "ever"> & Partial<Open>>(OPEN);
    if (open === undefined) return null;
    const { since, tallied } = open.ever ?? NEVER;
    return { ...open, tallied: wholeOf(open.tallied), ever: { since, tallied: wholeOf(tallied) } };
  }

  saveOpen(open: Open): void {
    this.#storage.kv.put(OPEN, open);
  }

  /** Keeps a minute that is over, by itself and in its hour, and deletes what is too old to be asked for at `now`. */
  close(minute: number, tallied: Tallied, now: number): void {
    this.#add("minute", minute, tallied);
    this.#add("hour", startOf("hour", minute), tallied);
    for (const unit of ["minute", "hour"] as const) this.#prune(unit, keptSince(unit, now));
  }

  /** What was counted in all kept units from `since` on. */
  sum(unit: Unit, since: number): Tallied {
    let sum = NOTHING;
    for (const [, tallied] of this.#rows(unit, { start: keyOf(unit, since) })) {
      sum = merge(sum, tallied);
    }
    return sum;
  }

  #add(unit: Unit, start: number, tallied: Tallied): void {
    const key = keyOf(unit, start);
    const before = this.#storage.kv.get<Tallied>(key);
    const sum = before === undefined ? tallied : merge(wholeOf(before), tallied);
    this.#storage.kv.put(key, trim(sum, MOST_SHARES));
  }

  #prune(unit: Unit, since: number): void {
    // Listed in whole first: a row must not be deleted under the list that reads it.
    const old = [...this.#rows(unit, { end: keyOf(unit, since) })];
    for (const [key] of old) this.#storage.kv.delete(key);
  }

  *#rows(unit: Unit, range: Omit<SyncKvListOptions, "prefix">): Iterable<[string, Tallied]> {
    const rows = this.#storage.kv.list<Tallied>({ prefix: `${unit}:`, ...range });
    for (const [key, tallied] of rows) yield [key, wholeOf(tallied)];
  }
}

/** Instants of these times all have 13 digits, so keys sort as they do. */
function keyOf(unit: Unit, start: number): string {
  return `${unit}:${start}`;
}
