import type { Line } from "./lane.ts";
import { Meter } from "./meter.ts";

/** What a provider allows in a minute; null: as much as one likes. */
export type Limits = { requests: number | null; tokens: number | null };

/** What one call, or a block of calls, takes of them. */
export type Amount = { requests: number; tokens: number };

/**
 * What each line must leave of the burst: so bulk work never uses up what a job of a better lane needs to begin at once,
 * and has all that accrues nevertheless.
 */
export const LEAVES: Record<Line, number> = {
  high: 0,
  normal: 0.1,
  low: 0.2,
  long: 0.2,
  long_low: 0.2,
};

/** Blocks that make up a minute's limit. */
const BLOCKS_PER_MINUTE = 600;

/** Permits that are out. `unused`: should nobody say a word of them, they were not used. */
type Out = Amount & { until: number; unused: boolean };

function byUntil([, a]: [string, Out], [, b]: [string, Out]): number {
  return a.until - b.until;
}

/** Whether a limit appears or goes. */
function isNew(limit: number | null, { limit: before }: Meter): boolean {
  return (limit === null) !== (before === null);
}

/** The permits of one provider: what may be taken, and what is out. Instants in epoch milliseconds. */
export class Permits {
  readonly #requests = new Meter();
  readonly #tokens = new Meter();
  readonly #out = new Map<string, Out>();
  #now: number;
  /** Nothing of what is out is over by its time before this. */
  #noneBefore = Infinity;

  /** `restedSince`: nothing is out, and has been used, since then. */
  constructor(limits: Limits, restedSince: number) {
    this.#now = restedSince;
    this.limits = limits;
  }

  get limits(): Limits {
    return { requests: this.#requests.limit, tokens: this.#tokens.limit };
  }

  set limits({ requests, tokens }: Limits) {
    // What is out was not counted by a meter that had no limit, so it must not come back to it.
    if (isNew(requests, this.#requests) || isNew(tokens, this.#tokens)) {
      for (const id of this.#out.keys()) this.settle(id);
    }
    if (requests !== this.#requests.limit) this.#requests.limit = requests;
    if (tokens !== this.#tokens.limit) this.#tokens.limit = tokens;
  }

  get unlimited(): boolean {
    return this.#requests.limit === null && this.#tokens.limit === null;
  }

  /** Brings everything up to now, in the order in which it happened. A clock that goes back stands still. */
  pass(now: number): void {
    if (now >= this.#noneBefore) this.#endBy(now);
    this.#accrue(now);
  }

  /** Milliseconds until so much may be taken, if nothing else happens; 0: now. `leave`: the share of the burst to be left. */
  waitMs({ requests, tokens }: Amount, leave: number): number {
    const waitMs = Math.max(
      this.#requests.waitMs(requests, leave),
      this.#tokens.waitMs(tokens, leave),
    );
    return waitMs === Infinity ? this.#nextBackMs() : waitMs;
  }

  /** How many calls of so many tokens there is something for. */
  room(tokens: number, leave: number): number {
    const calls = Math.floor(this.#tokens.free(leave) / Math.max(1, tokens));
    return Math.max(0, Math.min(this.#requests.free(leave), calls));
  }

  /** The part of a minute's limit that a call takes, of requests or tokens whichever is more. */
  shareOf(tokens: number): number {
    const { limits } = this;
    const ofRequests = limits.requests === null ? 0 : 1 / limits.requests;
    const ofTokens = limits.tokens === null ? 0 : tokens / limits.tokens;
    return Math.max(ofRequests, ofTokens);
  }

  /** Calls of so many tokens in one block; fewer than 1: there are no blocks. */
  largestBlock(tokens: number): number {
    return Math.floor(1 / (this.shareOf(tokens) * BLOCKS_PER_MINUTE));
  }

  take(id: string, amount: Amount, { until, unused }: Pick<Out, "until" | "unused">): void {
    if (this.unlimited) return;
    this.#out.set(id, { ...amount, until, unused });
    this.#noneBefore = Math.min(this.#noneBefore, until);
    this.#requests.take(amount.requests);
    this.#tokens.take(amount.tokens);
  }

  /** Whatever of these permits is not `rest` was used. Of permits that are settled it changes nothing. */
  settle(id: string, rest: Amount = { requests: 0, tokens: 0 }): void {
    const out = this.#out.get(id);
    if (out === undefined) return;
    this.#out.delete(id);
    this.#requests.settle(out.requests, Math.min(rest.requests, out.requests));
    this.#tokens.settle(out.tokens, Math.min(rest.tokens, out.tokens));
  }

  /** So many tokens fewer were used than was foreseen; negative: more. */
  correct(tokens: number): void {
    this.#tokens.correct(tokens);
  }

  #endBy(now: number): void {
    const over = [...this.#out].filter(([, { until }]) => until <= now);
    for (const [id, { requests, tokens, until, unused }] of over.toSorted(byUntil)) {
      this.#accrue(until);
      this.settle(id, unused ? { requests, tokens } : undefined);
    }
    this.#noneBefore = this.#firstUntil();
  }

  #accrue(now: number): void {
    const ms = Math.max(0, now - this.#now);
    this.#requests.accrue(ms);
    this.#tokens.accrue(ms);
    this.#now += ms;
  }

  #nextBackMs(): number {
    return Math.max(1, this.#firstUntil() - this.#now);
  }

  #firstUntil(): number {
    return [...this.#out.values()].reduce((first, { until }) => Math.min(first, until), Infinity);
  }
}
