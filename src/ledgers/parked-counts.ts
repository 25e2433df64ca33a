import { lineOf } from "../domain/lane.ts";
import type { OwnLine, Place, Waiting } from "../domain/outlook.ts";
import { BoundedMap } from "../bounded-map.ts";
import type { ProviderStore } from "../storage/provider-store.ts";

type Counts = { waiting: readonly Waiting[]; line: OwnLine };
type Counted<T> = { value: T; until: number };

/** For each so many jobs that were counted a count is good for a millisecond: they take a hundredth of the time at most. */
const JOBS_PER_MS = 10;

/** Lines remembered. */
const MOST_LINES = 100;

/** How many wait for a provider, counted no more often than their number allows: ten thousand once a second. */
export class ParkedCounts {
  readonly #store: ProviderStore;
  readonly #lines = new BoundedMap<string, Counted<OwnLine>>(MOST_LINES);
  #waiting: Counted<readonly Waiting[]> = { value: [], until: 0 };

  constructor(store: ProviderStore) {
    this.#store = store;
  }

  of(place: Omit<Place, "provider">, now: number): Counts {
    return { waiting: this.#waitingAt(now), line: this.#lineAt(place, now) };
  }

  #waitingAt(now: number): readonly Waiting[] {
    if (now < this.#waiting.until) return this.#waiting.value;
    const value = this.#store.parkedByTenant();
    const jobs = value.reduce((sum, each) => sum + each.jobs, 0);
    this.#waiting = { value, until: now + jobs / JOBS_PER_MS };
    return value;
  }

  #lineAt(place: Omit<Place, "provider">, now: number): OwnLine {
    const { tenant, priority } = place;
    const line = lineOf(place);
    const key = `${line} ${priority} ${tenant}`;
    const known = this.#lines.get(key);
    if (known !== undefined && now < known.until) return known.value;
    const value = this.#store.ownLine({ line, tenant }, priority);
    const counted = value.better + value.waiting;
    this.#lines.set(key, { value, until: now + counted / JOBS_PER_MS });
    return value;
  }
}
