import type { Lane } from "./lane.ts";
import { burstOf } from "./meter.ts";
import { LEAVES, Permits, type Amount, type Limits } from "./permits.ts";
import { Turns, type Turn } from "./turns.ts";

/** A job that wants to call a provider. `since`: when it became due, so that of a tenant's jobs the first is first. */
export type Wish = { job: string; lane: Lane; tenant: string; tokens: number; since: number };

/** The jobs that wait for a permit. To add one that is there changes nothing. */
export interface ParkedJobs {
  add(wish: Wish): void;
  remove(wish: Wish): void;
  /** The first of a tenant's in a lane. */
  first(turn: Turn): Wish | null;
  /** Each lane and tenant of whom there is one. */
  turns(): Turn[];
}

/**
 * Permits for so many calls and tokens, for as long as `lifeMs` after they were asked for. `id` null: nobody counts them, for
 * there is no limit.
 */
export type Permit = Amount & { id: string | null; lifeMs: number };

/** `parked`: the job will be rung for when it is its turn. */
export type Verdict = { type: "granted"; permit: Permit } | { type: "parked" };

/** From the word that a job may call to the call: the way of the word (permits.ts), and the job's lease (attempt.ts). */
const USE_MS = 3_500;

/** How long permits may be kept for calls to come: by one who has a block of them, and by one to whom there is no limit. */
const BLOCK_LIFE_MS = 5_000;
const UNLIMITED_LIFE_MS = 10_000;

/** After so long nothing that was ever granted is still to be used. */
export const ALL_USED_MS = BLOCK_LIFE_MS + USE_MS;

/** Blocks that make up a minute's limit. */
const BLOCKS_PER_MINUTE = 600;

/** How long a permit is kept for a job that was rung for: its message must come through its queue. */
const RESERVED_MS = 30_000;

/** Turns at once, and how soon there are more: so many messages can be sent in that time. */
const MOST_TURNS = 100;
const NEXT_TURNS_MS = 100;

/** What a turn counts where nothing is limited. */
const FREE_COST = 0.001;

/**
 * Gives out the permits of one provider, and knows whose turn it is. Pure but for its memory: it is told the time, and what
 * waits is kept by `parked`. Nobody overtakes: where somebody waits, who comes waits as well, for as long as
 * it is not its turn.
 */
export class PermitDesk {
  readonly #parked: ParkedJobs;
  readonly #permits: Permits;
  readonly #turns = new Turns();
  readonly #reserved = new Map<string, { id: string; lane: Lane; until: number }>();
  readonly #era: string;
  #ids = 0;
  #rings: Wish[] = [];
  #isPaused = false;
  #blockedUntil = 0;

  /** `era`: no other desk of this provider ever had it. */
  constructor(parked: ParkedJobs, limits: Limits, restedSince: number, era: string) {
    this.#parked = parked;
    this.#permits = new Permits(limits, restedSince);
    this.#era = era;
    for (const turn of parked.turns()) this.#turns.join(turn);
  }

  /** What has changed of the rules. */
  rule(rules: { limits: Limits; paused: boolean; blockedUntil: number }, now: number): void {
    this.#permits.pass(now);
    this.#permits.limits = rules.limits;
    this.#isPaused = rules.paused;
    this.#blockedUntil = rules.blockedUntil;
  }

  /** `most`: calls the asker has use for. Safe to repeat: a permit that nobody heard of counts as used. */
  ask(wish: Wish, most: number, now: number): Verdict {
    this.#pass(now);
    if (this.#claim(wish.job) && this.#isOpen(now)) return this.#grant(wish, 1, now);
    const amount = amountOf(wish);
    const isFree = this.#isOpen(now) && this.#turns.lanes.length === 0;
    if (isFree && this.#permits.waitMs(amount, LEAVES[wish.lane]) === 0) {
      return this.#grant(wish, most, now);
    }
    this.#parked.add(wish);
    this.#turns.join(wish);
    this.serve(now);
    if (!this.#claim(wish.job)) return { type: "parked" };
    this.#rings = this.#rings.filter(({ job }) => job !== wish.job);
    return this.#grant(wish, 1, now);
  }

  /** What is left of permits that will not be used. */
  giveBack(id: string, rest: Amount, now: number): void {
    this.#pass(now);
    this.#permits.settle(id, rest);
    this.serve(now);
  }

  /** So many tokens fewer were used than was foreseen; negative: more. */
  correct(tokens: number, now: number): void {
    this.#pass(now);
    this.#permits.correct(tokens);
    this.serve(now);
  }

  /** Reserves permits for those whose turn it is, as far as there are any. */
  serve(now: number): void {
    this.#pass(now);
    if (!this.#isOpen(now)) return;
    for (let turns = 0; turns < MOST_TURNS; turns++) {
      const next = this.#next();
      if (next === null || this.#waitMs(next) > 0) return;
      this.#parked.remove(next);
      this.#turns.took(next, this.#shareOf(next.tokens) || FREE_COST);
      if (this.#parked.first(next) === null) this.#turns.leave(next);
      // Parked twice, under two times of being due: one permit is all it can use.
      if (this.#reserved.has(next.job)) continue;
      const id = this.#newId();
      const until = now + RESERVED_MS;
      this.#permits.take(id, amountOf(next), { until, unused: true });
      this.#reserved.set(next.job, { id, lane: next.lane, until });
      this.#rings.push(next);
    }
  }

  /** The jobs to ring for, each once. */
  takeRings(): Wish[] {
    const rings = this.#rings;
    this.#rings = [];
    return rings;
  }

  /** When `serve` is to be called again; Infinity: somebody else will see to that. */
  serveAt(now: number): number {
    if (this.#isPaused || this.#turns.lanes.length === 0) return Infinity;
    if (now < this.#blockedUntil) return this.#blockedUntil;
    const next = this.#next();
    const untils = [...this.#reserved.values()].map(({ until }) => until);
    if (next === null) return Math.min(Infinity, ...untils);
    return now + Math.max(NEXT_TURNS_MS, Math.ceil(this.#waitMs(next)));
  }

  #pass(now: number): void {
    this.#permits.pass(now);
    for (const [job, { until }] of this.#reserved) if (until <= now) this.#reserved.delete(job);
  }

  #isOpen(now: number): boolean {
    return !this.#isPaused && now >= this.#blockedUntil;
  }

  /** Takes the job's reserved permit back, so that it can be granted. False: there is none. */
  #claim(job: string): boolean {
    const reserved = this.#reserved.get(job);
    if (reserved === undefined) return false;
    this.#reserved.delete(job);
    this.#permits.settle(reserved.id, { requests: Infinity, tokens: Infinity });
    return true;
  }

  #grant({ lane, tokens }: Wish, most: number, now: number): Verdict {
    if (this.#permits.unlimited) {
      const permit = { id: null, requests: Infinity, tokens: Infinity, lifeMs: UNLIMITED_LIFE_MS };
      return { type: "granted", permit };
    }
    const requests = Math.max(1, Math.min(most, this.#blockOf(lane, tokens)));
    const amount = { requests, tokens: tokens * requests };
    const id = this.#newId();
    const lifeMs = requests === 1 ? 0 : BLOCK_LIFE_MS;
    this.#permits.take(id, amount, { until: now + lifeMs + USE_MS, unused: false });
    const { limits } = this.#permits;
    const given = limits.tokens === null ? { requests, tokens: Infinity } : amount;
    return { type: "granted", permit: { id, ...given, lifeMs } };
  }

  /** As large as need be for few calls of the desk, and never so large that another isolate finds nothing. */
  #blockOf(lane: Lane, tokens: number): number {
    const half = this.#permits.room(tokens, LEAVES[lane]) / 2;
    return Math.floor(Math.min(half, 1 / (this.#shareOf(tokens) * BLOCKS_PER_MINUTE)));
  }

  /**
   * Whose turn it is. A lane that has not fetched what is reserved for it is passed over: its consumers are busy, and
   * permits that lie there are kept from the others.
   */
  #next(): Wish | null {
    const { requests } = this.#permits.limits;
    const most = requests === null ? Infinity : Math.max(1, burstOf(requests) / 2);
    const lanes = this.#turns.lanes.filter((lane) => this.#reservedFor(lane) < most);
    for (;;) {
      const turn = this.#turns.next(lanes);
      if (turn === null) return null;
      const first = this.#parked.first(turn);
      if (first !== null) return first;
      this.#turns.leave(turn);
    }
  }

  #reservedFor(lane: Lane): number {
    return [...this.#reserved.values()].filter((reserved) => reserved.lane === lane).length;
  }

  /** What a lane leaves is left for better ones. Where those wait themselves, whose turn it is has the next permit. */
  #waitMs(wish: Wish): number {
    const isBest = this.#turns.lanes[0] === wish.lane;
    return this.#permits.waitMs(amountOf(wish), isBest ? LEAVES[wish.lane] : 0);
  }

  /** The part of a minute's limit that a call takes, of requests or tokens whichever is more. */
  #shareOf(tokens: number): number {
    const { limits } = this.#permits;
    const ofRequests = limits.requests === null ? 0 : 1 / limits.requests;
    const ofTokens = limits.tokens === null ? 0 : tokens / limits.tokens;
    return Math.max(ofRequests, ofTokens);
  }

  #newId(): string {
    this.#ids += 1;
    return `${this.#era}-${this.#ids}`;
  }
}

function amountOf({ tokens }: Wish): Amount {
  return { requests: 1, tokens };
}
