import { LINES, type Line } from "./lane.ts";

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

/** A line's share of the turns while others wait as well; without them it has all. */
export const WEIGHTS: Record<Line, number> = { high: 8, normal: 4, low: 1, long: 1, long_low: 1 };

export type Turn = { line: Line; tenant: string };

/** Whose turn it is of those parked at a provider: the lines by their weights, within a line each tenant alike. */
export class Turns {
  readonly #lines = new Flows<Line>();
  readonly #tenants = new Map(LINES.map((line) => [line, new Flows<string>()]));

  /** The lines in which somebody waits, the best first. */
  get lines(): Line[] {
    const waiting = new Set(this.#lines.waiting);
    return LINES.filter((line) => waiting.has(line));
  }

  join({ line, tenant }: Turn): void {
    this.#lines.join(line);
    this.#tenants.get(line)?.join(tenant);
  }

  /** Nobody of this tenant waits in this line any more. */
  leave({ line, tenant }: Turn): void {
    const tenants = this.#tenants.get(line);
    tenants?.leave(tenant);
    if (tenants?.next() === null) this.#lines.leave(line);
  }

  /**
   * Of these lines, and of who may have a turn; null: nobody waits in them. Of lines that have had alike it is the better
   * one's.
   */
  next(lines: readonly Line[], may: (turn: Turn) => boolean = () => true): Turn | null {
    const line = this.#lines.next(lines);
    if (line === null) return null;
    const tenant = this.#tenants.get(line)?.next() ?? null;
    if (tenant !== null && may({ line, tenant })) return { line, tenant };
    const others = lines.filter((other) => other !== line);
    return this.#nextAmong(line, may) ?? this.next(others, may);
  }

  /** Where the first of a line may not. */
  #nextAmong(line: Line, may: (turn: Turn) => boolean): Turn | null {
    const tenants = this.#tenants.get(line);
    const open = (tenants?.waiting ?? []).filter((tenant) => may({ line, tenant }));
    const tenant = tenants?.next(open) ?? null;
    return tenant === null ? null : { line, tenant };
  }

  /** It had its turn. `cost`: above 0, whatever it is measured in. */
  took({ line, tenant }: Turn, cost: number): void {
    this.#lines.took(line, cost / WEIGHTS[line]);
    this.#tenants.get(line)?.took(tenant, cost);
  }
}
