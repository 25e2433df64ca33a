import { LANES, type Lane } from "./lane.ts";

/**
 * Who is next of those that wait, in proportion to weights: start-time fair queueing. Each flow has a start, which goes on
 * by what it gets; the least start is next. One that comes anew starts where the others are, so it has not saved
 * anything up, and one that has just had its turn and comes back at once has not shed what it got.
 * Source: Goyal, Vin, Cheng, "Start-time Fair Queueing" (1996).
 */
class Flows<K> {
  readonly #flows = new Map<K, { start: number; waits: boolean }>();
  #now = 0;

  get waiting(): K[] {
    return [...this.#flows].filter(([, { waits }]) => waits).map(([key]) => key);
  }

  join(key: K): void {
    const flow = this.#flows.get(key);
    if (flow?.waits === true) return;
    this.#flows.set(key, { start: Math.max(flow?.start ?? 0, this.#now), waits: true });
  }

  /** What the others have caught up with is forgotten. */
  leave(key: K): void {
    const flow = this.#flows.get(key);
    if (flow !== undefined) flow.waits = false;
    for (const [other, { start, waits }] of this.#flows) {
      if (!waits && start <= this.#now) this.#flows.delete(other);
    }
  }

  next(candidates: Iterable<K> = this.#flows.keys()): K | null {
    let first: { key: K; start: number } | null = null;
    for (const key of candidates) {
      const flow = this.#flows.get(key);
      if (flow?.waits !== true || (first !== null && flow.start >= first.start)) continue;
      first = { key, start: flow.start };
    }
    return first?.key ?? null;
  }

  took(key: K, cost: number): void {
    const flow = this.#flows.get(key);
    if (flow === undefined) return;
    this.#now = Math.max(this.#now, flow.start);
    flow.start += cost;
  }
}

/** A lane's share of the turns while others wait as well; without them it has all. */
const WEIGHTS: Record<Lane, number> = { high: 8, normal: 4, low: 1, long: 1 };

export type Turn = { lane: Lane; tenant: string };

/** Whose turn it is of those parked at a provider: the lanes by their weights, within a lane each tenant alike. */
export class Turns {
  readonly #lanes = new Flows<Lane>();
  readonly #tenants = new Map(LANES.map((lane) => [lane, new Flows<string>()]));

  /** The lanes in which somebody waits, the best first. */
  get lanes(): Lane[] {
    const waiting = new Set(this.#lanes.waiting);
    return LANES.filter((lane) => waiting.has(lane));
  }

  join({ lane, tenant }: Turn): void {
    this.#lanes.join(lane);
    this.#tenants.get(lane)?.join(tenant);
  }

  /** Nobody of this tenant waits in this lane any more. */
  leave({ lane, tenant }: Turn): void {
    const tenants = this.#tenants.get(lane);
    tenants?.leave(tenant);
    if (tenants?.next() === null) this.#lanes.leave(lane);
  }

  /** Of these lanes; null: nobody waits in them. Of lanes that have had alike it is the better one's. */
  next(lanes: readonly Lane[]): Turn | null {
    const lane = this.#lanes.next(lanes);
    if (lane === null) return null;
    const tenant = this.#tenants.get(lane)?.next() ?? null;
    return tenant === null ? null : { lane, tenant };
  }

  /** It had its turn. `cost`: above 0, whatever it is measured in. */
  took({ lane, tenant }: Turn, cost: number): void {
    this.#lanes.took(lane, cost / WEIGHTS[lane]);
    this.#tenants.get(lane)?.took(tenant, cost);
  }
}
