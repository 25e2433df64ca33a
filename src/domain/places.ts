import { laneOfLine, LINES, type Lane, type Line } from "./lane.ts";
import type { Turn } from "./turns.ts";

/** How many calls of each lane may be under way at once. */
export type Concurrency = Readonly<Record<Lane, number>>;

/** A block holds at most this part of the places that are left to blocks, so that others find some as well. */
const BLOCK_SHARE = 1 / 8;

/** Long jobs that can wait leave the rest of their lane's places to those that cannot: each is taken for minutes. */
const LOW_SHARE = 0.8;

type Held = Turn & { calls: number; until: number };

/**
 * The places of each lane at one provider: one for every call that is under way, or permitted and still to come. Those that nobody
 * gives back are free again once their calls must be over. Instants in epoch milliseconds.
 */
export class Places {
  readonly concurrency: Concurrency;
  readonly #tenantShare: number | null;
  readonly #held = new Map<string, Held>();
  readonly #taken: Record<Line, number> = { high: 0, normal: 0, low: 0, long: 0, long_low: 0 };

  /** No place is free by its time before this. */
  #noneBefore = Infinity;

  /** `tenantShare`: the part of a line's places that one tenant may have; null: all. */
  constructor(concurrency: Concurrency, tenantShare: number | null = null) {
    this.concurrency = concurrency;
    this.#tenantShare = tenantShare;
  }

  taken(lane: Lane): number {
    return LINES.reduce(
      (sum, line) => sum + (laneOfLine(line) === lane ? this.#taken[line] : 0),
      0,
    );
  }

  hasRoom(line: Line): boolean {
    const lane = laneOfLine(line);
    if (line === "long_low" && this.#taken[line] >= this.most(line)) return false;
    return this.taken(lane) < this.concurrency[lane];
  }

  /** The same, and its tenant has not as many of the line's places as it may have. */
  hasRoomFor({ line, tenant }: Turn): boolean {
    if (!this.hasRoom(line)) return false;
    if (this.#tenantShare === null) return true;
    const mostOfTenant = Math.max(1, Math.floor(this.most(line) * this.#tenantShare));
    const own = [...this.#held.values()].filter(
      (held) => held.line === line && held.tenant === tenant,
    );
    return own.reduce((sum, { calls }) => sum + calls, 0) < mostOfTenant;
  }

  /** How many places a line may have. */
  most(line: Line): number {
    const places = this.concurrency[laneOfLine(line)];
    return line === "long_low" ? Math.max(1, Math.floor(places * LOW_SHARE)) : places;
  }

  /**
   * So far from being full that nobody need hear at once which calls are over, and calls may be permitted ahead. Never where
   * tenants are bounded: what is permitted ahead is any tenant's.
   */
  isQuiet(line: Line): boolean {
    const lane = laneOfLine(line);
    return this.#tenantShare === null && this.taken(lane) < this.concurrency[lane] / 2;
  }

  /** How many places one block may have. */
  block(line: Line): number {
    if (!this.isQuiet(line)) return 0;
    const lane = laneOfLine(line);
    return Math.floor((this.concurrency[lane] / 2 - this.taken(lane)) * BLOCK_SHARE);
  }

  /** `until`: when all these calls must be over. */
  take(id: string, held: Held): void {
    this.#held.set(id, { ...held });
    this.#taken[held.line] += held.calls;
    this.#noneBefore = Math.min(this.#noneBefore, held.until);
  }

  /** Of these places no more than so many are still needed. Safe to repeat, and of those that are free it changes nothing. */
  keep(id: string, calls: number): void {
    const held = this.#held.get(id);
    if (held === undefined || calls >= held.calls) return;
    this.#taken[held.line] -= held.calls - calls;
    held.calls = calls;
    if (calls === 0) this.#held.delete(id);
  }

  pass(now: number): void {
    if (now < this.#noneBefore) return;
    for (const [id, { until }] of this.#held) if (until <= now) this.keep(id, 0);
    this.#noneBefore = this.#firstUntil([...this.#held.values()]);
  }

  /** When the next place of these lines' lanes is free, though nobody says so. */
  nextUntil(lines: readonly Line[]): number {
    const lanes = new Set(lines.map(laneOfLine));
    return this.#firstUntil(
      [...this.#held.values()].filter(({ line }) => lanes.has(laneOfLine(line))),
    );
  }

  #firstUntil(held: Held[]): number {
    return Math.min(Infinity, ...held.map(({ until }) => until));
  }
}
