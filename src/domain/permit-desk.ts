import { lineOf, type Lane, type Line } from "./lane.ts";
import { burstOf } from "./meter.ts";
import { Once } from "./once.ts";
import type { News, Permit, Spared, Verdict, Wish, WishKey } from "./permit.ts";
import { lifeMs, QUIET_MS, RESERVED_MS, USE_MS } from "./permit-life.ts";
import { LEAVES, Permits, type Amount, type Limits } from "./permits.ts";
import { Places, type Concurrency } from "./places.ts";
import { Pressure } from "./pressure.ts";
import { Reservations, type Reserved } from "./reservations.ts";
import { turnOf, Waiting, type ParkedJobs } from "./waiting.ts";

/** How a lane stands: how many of its calls are under way at the provider, and how many may be at once. */
export type Standing = { running: number; concurrency: number };

/** Turns at once, and how soon there are more: so many messages can be sent in that time, a hundred together. */
const MOST_TURNS = 500;
const NEXT_TURNS_MS = 100;

/** Of a lane's burst, and of its places, this part may be reserved and not fetched: messages are under way for a while. */
const UNFETCHED_SHARE = 1 / 2;

/** What a turn counts where nothing is limited. */
const FREE_COST = 0.001;

/** `restedSince`: nothing is out, and has been used, since then. */
export type DeskSettings = {
  limits: Limits;
  concurrency: Concurrency;
  /** As of `Places`. */
  tenantShare?: number | null;
  restedSince: number;
  era: string;
};

/**
 * Gives out the permits of one provider, and knows whose turn it is. Pure but for its memory: it is told the time, and what
 * waits is kept by `parked`. Nobody overtakes: where somebody waits, who comes waits as well, for as long as
 * it is not its turn.
 */
export class PermitDesk {
  readonly #waiting: Waiting;
  readonly #permits: Permits;
  readonly #places: Places;
  readonly #reserved = new Reservations();
  readonly #pressure = new Pressure();
  readonly #once = new Once();
  readonly #era: string;
  #ids = 0;
  #rings: Wish[] = [];
  #isPaused = false;
  #blockedUntil = 0;

  /** `era`: no other desk of this provider ever had it. */
  constructor(parked: ParkedJobs, settings: DeskSettings) {
    this.#waiting = new Waiting(parked);
    this.#permits = new Permits(settings.limits, settings.restedSince);
    this.#places = new Places(settings.concurrency, settings.tenantShare);
    this.#era = settings.era;
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
    this.#pressure.heard(now);
    this.#pass(now);
    const fetched = this.#isOpen(now) ? this.#fetch(wish, most) : this.#drop(wish);
    if (fetched !== null) {
      const verdict = this.#grant(wish, fetched, now, true);
      this.serve(now);
      return verdict;
    }
    const line = lineOf(wish);
    const isFree =
      this.#isOpen(now) && this.#places.hasRoomFor(turnOf(wish)) && !this.#isAwaited(line);
    if (isFree && this.#permits.waitMs(amountOf(wish), LEAVES[line]) === 0) {
      const block = this.#waiting.lines.length === 0 ? this.#blockOf(wish) : 1;
      return this.#grant(wish, timesOf(wish, Math.max(1, Math.min(most, block))), now);
    }
    this.#waiting.add(wish);
    this.serve(now);
    const reserved = this.#release(this.#reserved.take(line, wish.job));
    if (reserved === null) return { type: "parked", ...this.#spared(now) };
    this.#rings = this.#rings.filter(({ job }) => job !== wish.job);
    return this.#grant(wish, reserved, now);
  }

  /** The jobs of these wishes wait. How the asker is to spare the desk from now on. Safe to repeat. */
  park(wishes: readonly Wish[], line: Line, now: number): Spared {
    this.#pressure.heard(now);
    this.#pass(now);
    for (const wish of wishes) this.#waiting.add(wish);
    this.serve(now);
    return this.#waiting.lines.includes(line) ? this.#spared(now) : {};
  }

  /** The job of this wish waits no more. One that was rung for already gives its permit back when its message comes. Safe to repeat. */
  withdraw(wish: WishKey, now: number): void {
    this.#pressure.heard(now);
    this.#waiting.remove(wish);
  }

  /** What became of permits. Safe to repeat, but for tokens that come without an id. */
  hear({ spent, remaining, tokens, id: told }: News, now: number): void {
    if (spent.length + remaining.length === 0 && tokens === 0) return;
    this.#pressure.heard(now);
    this.#pass(now);
    for (const { id, rest } of spent) this.#permits.settle(id, rest);
    for (const { id, calls } of remaining) this.#places.keep(id, calls);
    const isFirst = told === undefined || this.#once.isFirst(told, now);
    if (tokens !== 0 && isFirst) this.#permits.correct(tokens);
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
      this.#waiting.took(next, this.#permits.shareOf(next.tokens) || FREE_COST);
      // Parked twice, under two times of being due: one permit is all it can use.
      if (this.#reserved.has(lineOf(next), next.job)) continue;
      const id = this.#newId();
      const until = now + RESERVED_MS;
      this.#permits.take(id, amountOf(next), { until, unused: true });
      this.#places.take(id, { ...turnOf(next), calls: 1, until });
      this.#reserved.add(lineOf(next), next.job, { id, tokens: next.tokens, until });
      this.#rings.push(next);
    }
  }

  /** The jobs to ring for, each once. */
  takeRings(): Wish[] {
    const rings = this.#rings;
    this.#rings = [];
    return rings;
  }

  /** How many calls of so many tokens may begin at once in this lane. */
  room(lane: Lane, tokens: number, now: number): number {
    this.#pass(now);
    return this.#permits.room(tokens, LEAVES[lane]);
  }

  /** When `serve` is to be called again; Infinity: somebody else will see to that. */
  serveAt(now: number): number {
    if (this.#isPaused || this.#waiting.lines.length === 0) return Infinity;
    if (now < this.#blockedUntil) return this.#blockedUntil;
    const next = this.#next();
    if (next === null) {
      return Math.min(this.#places.nextUntil(this.#waiting.lines), this.#reserved.nextUntil());
    }
    return now + Math.max(NEXT_TURNS_MS, Math.ceil(this.#waitMs(next)));
  }

  #pass(now: number): void {
    this.#permits.pass(now);
    this.#places.pass(now);
    this.#reserved.pass(now);
  }

  #isOpen(now: number): boolean {
    return !this.#isPaused && now >= this.#blockedUntil;
  }

  /**
   * What is reserved for the job, so that it can be granted; null: nothing is. Where permits come in blocks it has some of other jobs'
   * with it, for those that come to the same asker, and a job that was rung for and whose own another has is granted what is there.
   */
  #fetch(wish: Wish, most: number): Amount | null {
    const { job, tokens, rung = false } = wish;
    const line = lineOf(wish);
    const largest = this.#places.isQuiet(line) ? this.#permits.largestBlock(tokens) : 1;
    const own = this.#release(this.#reserved.take(line, job));
    if (own === null && !(rung && largest > 1)) return null;
    const fetched = own ?? { requests: 0, tokens: 0 };
    const block = Math.max(1, Math.min(most, largest));
    while (fetched.requests < block) {
      const other = this.#release(this.#reserved.takeOldest(line));
      if (other === null) break;
      fetched.requests += 1;
      fetched.tokens += other.tokens;
    }
    return fetched.requests === 0 ? null : fetched;
  }

  /** Nothing is granted now: what is reserved for the job comes back, and it waits anew. */
  #drop(wish: WishKey): null {
    this.#release(this.#reserved.take(lineOf(wish), wish.job));
    return null;
  }

  /** Its permit and place come back. */
  #release(reserved: Reserved | null): Amount | null {
    if (reserved === null) return null;
    this.#permits.settle(reserved.id, { requests: Infinity, tokens: Infinity });
    this.#places.keep(reserved.id, 0);
    return { requests: 1, tokens: reserved.tokens };
  }

  #grant(wish: Wish, amount: Amount, now: number, contested = false): Verdict {
    const { lastsMs = 0 } = wish;
    const line = lineOf(wish);
    const { requests } = amount;
    const id = this.#newId();
    const restMs = contested ? this.#pressure.restMs(now) : null;
    const aheadMs = requests === 1 ? 0 : lifeMs(this.#permits.unlimited, restMs);
    const usedBy = now + aheadMs + USE_MS;
    this.#permits.take(id, amount, { until: usedBy, unused: false });
    this.#places.take(id, { ...turnOf(wish), calls: requests, until: usedBy + lastsMs });
    const quietMs = this.#places.isQuiet(line) ? QUIET_MS : 0;
    const given = this.#permits.limits.tokens === null ? { requests, tokens: Infinity } : amount;
    const permit: Permit = { id, ...given, lifeMs: aheadMs, lastsMs, quietMs };
    return { type: "granted", permit: contested ? { ...permit, rung: true } : permit };
  }

  #spared(now: number): Spared {
    const restMs = this.#pressure.restMs(now);
    return restMs === 0 ? {} : { restMs };
  }

  /** As large as need be for few calls of the desk, and never so large that another isolate finds nothing. */
  #blockOf(wish: Wish): number {
    const { tokens } = wish;
    const line = lineOf(wish);
    const half = this.#permits.room(tokens, LEAVES[line]) / 2;
    return Math.floor(Math.min(half, this.#permits.largestBlock(tokens), this.#places.block(line)));
  }

  /** Whether somebody waits whom this wish must not overtake: of its own line, or of one that has places. */
  #isAwaited(line: Line): boolean {
    return this.#waiting.lines.some((other) => other === line || this.#places.hasRoom(other));
  }

  /**
   * Whose turn it is. A lane that has no place is passed over, a tenant that has all it may have, and a lane that has not fetched what is
   * reserved for it: its consumers are busy, and permits that lie there are kept from the others.
   */
  #next(): Wish | null {
    const lines = this.#waiting.lines.filter(
      (line) => this.#places.hasRoom(line) && this.#reserved.count(line) < this.#mostReserved(line),
    );
    return this.#waiting.next(lines, (turn) => this.#places.hasRoomFor(turn));
  }

  #mostReserved(line: Line): number {
    const { requests } = this.#permits.limits;
    const ofRequests = requests === null ? Infinity : burstOf(requests) * UNFETCHED_SHARE;
    const ofPlaces = this.#places.most(line) * UNFETCHED_SHARE;
    return Math.max(1, Math.min(ofRequests, ofPlaces));
  }

  /** What a lane leaves is left for better ones. Where those wait themselves, whose turn it is has the next permit. */
  #waitMs(wish: Wish): number {
    const line = lineOf(wish);
    const isBest = this.#waiting.lines[0] === line;
    return this.#permits.waitMs(amountOf(wish), isBest ? LEAVES[line] : 0);
  }

  #newId(): string {
    this.#ids += 1;
    return `${this.#era}-${this.#ids}`;
  }
}

function amountOf({ tokens }: Wish): Amount {
  return { requests: 1, tokens };
}

function timesOf({ tokens }: Wish, requests: number): Amount {
  return { requests, tokens: tokens * requests };
}
