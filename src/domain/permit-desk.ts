import type { Lane } from "./lane.ts";
import { burstOf } from "./meter.ts";
import { LONGEST_MS, type News, type Verdict, type Wish } from "./permit.ts";
import { LEAVES, Permits, type Amount, type Limits } from "./permits.ts";
import { Places, type Concurrency } from "./places.ts";
import { Turns, type Turn } from "./turns.ts";

/** The jobs that wait for a permit. To add one that is there changes nothing. */
export interface ParkedJobs {
  add(wish: Wish): void;
  remove(wish: Wish): void;
  /** The first of a tenant's in a lane. */
  first(turn: Turn): Wish | null;
  /** Each lane and tenant of whom there is one. */
  turns(): Turn[];
}

/** How a lane stands: how many of its calls are under way at the provider, and how many may be at once. */
export type Standing = { running: number; concurrency: number };

/** From the word that a job may call to the call: the way of the word (permits.ts), and the job's lease (attempt.ts). */
const USE_MS = 3_500;

/** How long permits may be kept for calls to come: by one who has a block of them, and by one to whom there is no limit. */
const BLOCK_LIFE_MS = 5_000;
const UNLIMITED_LIFE_MS = 10_000;

/** How long what a lane's isolates heard of its being far from full may be relied upon. */
const QUIET_MS = 10_000;

/** After so long nothing that was ever granted is still to be used. */
export const ALL_USED_MS = BLOCK_LIFE_MS + USE_MS;

/** Blocks that make up a minute's limit. */
const BLOCKS_PER_MINUTE = 600;

/** How long a permit is kept for a job that was rung for: its message must come through its queue. */
const RESERVED_MS = 30_000;

/** Turns at once, and how soon there are more: so many messages can be sent in that time. */
const MOST_TURNS = 100;
const NEXT_TURNS_MS = 100;

/** Of a lane's burst, and of its places, this part may be reserved and not fetched: messages are under way for a while. */
const UNFETCHED_SHARE = 1 / 2;

/** What a turn counts where nothing is limited. */
const FREE_COST = 0.001;

/** `restedSince`: nothing is out, and has been used, since then. */
export type DeskSettings = {
  limits: Limits;
  concurrency: Concurrency;
  restedSince: number;
  era: string;
};

/**
 * Gives out the permits of one provider, and knows whose turn it is. Pure but for its memory: it is told the time, and what
 * waits is kept by `parked`. Nobody overtakes: where somebody waits, who comes waits as well, for as long as
 * it is not its turn.
 */
export class PermitDesk {
  readonly #parked: ParkedJobs;
  readonly #permits: Permits;
  readonly #places: Places;
  readonly #turns = new Turns();
  readonly #reserved = new Map<string, { id: string; lane: Lane; until: number }>();
  readonly #era: string;
  #ids = 0;
  #rings: Wish[] = [];
  #isPaused = false;
  #blockedUntil = 0;

  /** `era`: no other desk of this provider ever had it. */
  constructor(parked: ParkedJobs, { limits, concurrency, restedSince, era }: DeskSettings) {
    this.#parked = parked;
    this.#permits = new Permits(limits, restedSince);
    this.#places = new Places(concurrency);
    this.#era = era;
    for (const turn of parked.turns()) this.#turns.join(turn);
  }

  /** Whether calls and tokens are as many as one likes. */
  get unlimited(): boolean {
    return this.#permits.unlimited;
  }

  /** What has changed of the rules. */
  rule(rules: { limits: Limits; paused: boolean; blockedUntil: number }, now: number): void {
    this.#pass(now);
    this.#permits.limits = rules.limits;
    this.#isPaused = rules.paused;
    this.#blockedUntil = rules.blockedUntil;
  }

  /** `most`: calls the asker has use for. Safe to repeat: a permit that nobody heard of counts as used. */
  ask(wish: Wish, most: number, now: number): Verdict {
    this.#pass(now);
    if (this.#claim(wish.job) && this.#isOpen(now)) {
      const verdict = this.#grant(wish, 1, now);
      this.serve(now);
      return verdict;
    }
    const isFree = this.#isOpen(now) && this.#places.hasRoom(wish.lane) && !this.#isAwaited(wish);
    if (isFree && this.#permits.waitMs(amountOf(wish), LEAVES[wish.lane]) === 0) {
      return this.#grant(wish, this.#turns.lanes.length === 0 ? most : 1, now);
    }
    this.#parked.add(wish);
    this.#turns.join(wish);
    this.serve(now);
    if (!this.#claim(wish.job)) return { type: "parked" };
    this.#rings = this.#rings.filter(({ job }) => job !== wish.job);
    return this.#grant(wish, 1, now);
  }

  /** What became of permits. Safe to repeat but for `tokens`. */
  hear({ spent, remaining, tokens }: News, now: number): void {
    if (spent.length + remaining.length === 0 && tokens === 0) return;
    this.#pass(now);
    for (const { id, rest } of spent) this.#permits.settle(id, rest);
    for (const { id, calls } of remaining) this.#places.keep(id, calls);
    if (tokens !== 0) this.#permits.correct(tokens);
    this.serve(now);
  }

  /** As of when the desk was last told the time. To ask changes nothing. */
  standing(lane: Lane): Standing {
    return { running: this.#places.taken(lane), concurrency: this.#places.concurrency[lane] };
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
      this.#places.take(id, { lane: next.lane, calls: 1, until });
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
    if (next === null) {
      const untils = [...this.#reserved.values()].map(({ until }) => until);
      return Math.min(this.#places.nextUntil(this.#turns.lanes), ...untils);
    }
    return now + Math.max(NEXT_TURNS_MS, Math.ceil(this.#waitMs(next)));
  }

  #pass(now: number): void {
    this.#permits.pass(now);
    this.#places.pass(now);
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
    this.#places.keep(reserved.id, 0);
    return true;
  }

  #grant({ lane, tokens, lastsMs = LONGEST_MS }: Wish, most: number, now: number): Verdict {
    const requests = Math.max(1, Math.min(most, this.#blockOf(lane, tokens)));
    const amount = { requests, tokens: tokens * requests };
    const id = this.#newId();
    const blockMs = this.#permits.unlimited ? UNLIMITED_LIFE_MS : BLOCK_LIFE_MS;
    const lifeMs = requests === 1 ? 0 : blockMs;
    const usedBy = now + lifeMs + USE_MS;
    this.#permits.take(id, amount, { until: usedBy, unused: false });
    this.#places.take(id, { lane, calls: requests, until: usedBy + lastsMs });
    const quietMs = this.#places.isQuiet(lane) ? QUIET_MS : 0;
    const { limits } = this.#permits;
    const given = limits.tokens === null ? { requests, tokens: Infinity } : amount;
    return { type: "granted", permit: { id, ...given, lifeMs, lastsMs, quietMs } };
  }

  /** As large as need be for few calls of the desk, and never so large that another isolate finds nothing. */
  #blockOf(lane: Lane, tokens: number): number {
    const half = this.#permits.room(tokens, LEAVES[lane]) / 2;
    const share = 1 / (this.#shareOf(tokens) * BLOCKS_PER_MINUTE);
    return Math.floor(Math.min(half, share, this.#places.block(lane)));
  }

  /** Whether somebody waits whom this wish must not overtake: of its own lane, or of one that has places. */
  #isAwaited({ lane }: Wish): boolean {
    return this.#turns.lanes.some((other) => other === lane || this.#places.hasRoom(other));
  }

  /**
   * Whose turn it is. A lane that has no place is passed over, and one that has not fetched what is reserved for it: its consumers
   * are busy, and permits that lie there are kept from the others.
   */
  #next(): Wish | null {
    const lanes = this.#turns.lanes.filter(
      (lane) => this.#places.hasRoom(lane) && this.#reservedFor(lane) < this.#mostReserved(lane),
    );
    for (;;) {
      const turn = this.#turns.next(lanes);
      if (turn === null) return null;
      const first = this.#parked.first(turn);
      if (first !== null) return first;
      this.#turns.leave(turn);
    }
  }

  #mostReserved(lane: Lane): number {
    const { requests } = this.#permits.limits;
    const ofRequests = requests === null ? Infinity : burstOf(requests) * UNFETCHED_SHARE;
    const ofPlaces = this.#places.concurrency[lane] * UNFETCHED_SHARE;
    return Math.max(1, Math.min(ofRequests, ofPlaces));
  }

  #reservedFor(lane: Lane): number {
    let count = 0;
    for (const reserved of this.#reserved.values()) if (reserved.lane === lane) count++;
    return count;
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
