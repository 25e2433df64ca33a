import { LANES, lineOf, UNSAID_PRIORITY, type Lane } from "../../src/domain/lane.ts";
import { PermitDesk } from "../../src/domain/permit-desk.ts";
import type { Permit, Wish, WishKey } from "../../src/domain/permit.ts";
import type { Limits } from "../../src/domain/permits.ts";
import type { Concurrency } from "../../src/domain/places.ts";
import type { Turn } from "../../src/domain/turns.ts";
import type { ParkedJobs } from "../../src/domain/waiting.ts";
import { seeded } from "../support/random.ts";
import { NOW } from "./fixtures.ts";

/** The parked jobs in memory, kept as the object's table keeps them. */
export class ParkedInMemory implements ParkedJobs {
  readonly #lines = new Map<string, Wishes>();
  readonly #keys = new Set<string>();

  add(wish: Wish): void {
    const key = keyOf(wish);
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    const line = this.#lineOf({ line: lineOf(wish), tenant: wish.tenant });
    line.wishes.splice(placeIn(line, wish), 0, wish);
  }

  remove(wish: WishKey): void {
    if (!this.#keys.delete(keyOf(wish))) return;
    const line = this.#lineOf({ line: lineOf(wish), tenant: wish.tenant });
    const at = placeIn(line, wish);
    if (at === line.gone) line.gone += 1;
    else line.wishes.splice(at, 1);
  }

  first(turn: Turn): Wish | null {
    const { wishes, gone } = this.#lineOf(turn);
    return wishes[gone] ?? null;
  }

  turns(): Turn[] {
    const firsts = [...this.#lines.values()].flatMap(({ wishes, gone }) => wishes[gone] ?? []);
    return firsts.map((first) => ({ line: lineOf(first), tenant: first.tenant }));
  }

  get size(): number {
    return this.#keys.size;
  }

  #lineOf({ line: name, tenant }: Turn): Wishes {
    const key = `${name} ${tenant}`;
    const line = this.#lines.get(key) ?? { wishes: [], gone: 0 };
    this.#lines.set(key, line);
    return line;
  }
}

/** The wishes in their order, of which the first so many are gone. */
type Wishes = { wishes: Wish[]; gone: number };

function keyOf({ lane, tenant, priority, job, since }: WishKey): string {
  return [lane, tenant, priority, job, since].join(" ");
}

/** Where in a line this wish is, or belongs. */
function placeIn({ wishes, gone }: Wishes, wish: WishKey): number {
  let [low, high] = [gone, wishes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = wishes[middle];
    if (other !== undefined && isBefore(other, wish)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isBefore(a: WishKey, b: WishKey): boolean {
  const [first, second] = [a, b].map(({ priority = UNSAID_PRIORITY }) => priority);
  if (first !== second) return (first ?? 0) < (second ?? 0);
  return a.since === b.since ? a.job < b.job : a.since < b.since;
}

/** A job of the world: when it was submitted, when it called, and what became of its call. */
export type Simulated = {
  job: string;
  lane: Lane;
  tenant: string;
  priority: number;
  at: number;
  calledAt: number;
  callMs: number;
  /** Its consumer dies in the call, and tells nobody. */
  dies: boolean;
};

/** So many jobs, one every `everyMs` from `fromMs` on. */
type Submission = {
  fromMs?: number;
  everyMs?: number;
  callMs?: number;
  dies?: boolean;
  priority?: number;
};

/** Consumers of a lane's queue, as many as wrangler.toml allows. */
const CONSUMERS: Record<Lane, number> = { high: 250, normal: 250, low: 100, long: 50 };

/** Of these, how many calls one provider has at once (LANE_CONCURRENCY_*). */
export const CONCURRENCY: Concurrency = { high: 225, normal: 225, low: 90, long: 45 };

/** A desk whose provider bears as many calls at once as one likes. */
export const ENDLESS: Concurrency = {
  high: Infinity,
  normal: Infinity,
  low: Infinity,
  long: Infinity,
};

/** The way of a message through its queue, at most. */
export const MESSAGE_MS = 1_000;

/** What an attempt may last beyond its own time. */
export const LEASE_MS = 60_000;

/**
 * A provider's desk, the queues of its lanes and their consumers, in a time of its own: a job's message comes to a consumer,
 * which asks, calls for `callMs` or takes the next message. By a seed, so what is seen once is seen again.
 */
export class PermitWorld {
  readonly parked = new ParkedInMemory();
  readonly desk: PermitDesk;
  readonly jobs: Simulated[] = [];
  /** Calls of the desk: questions and alarms. */
  asked = 0;
  readonly #byId = new Map<string, Simulated>();
  readonly #random: () => number;
  readonly #callMs: number;
  /** What is due next comes last. */
  readonly #due: { at: number; run: () => void }[] = [];
  readonly #waiting = new Map<Lane, Simulated[]>(LANES.map((lane) => [lane, []]));
  readonly #free = { ...CONSUMERS };
  #alarmAt = Infinity;
  now = NOW;

  constructor(limits: Limits, { callMs = 10_000, seed = 1, concurrency = CONCURRENCY } = {}) {
    const settings = { limits, concurrency, restedSince: 0, era: "world" };
    this.desk = new PermitDesk(this.parked, settings);
    this.#random = seeded(seed);
    this.#callMs = callMs;
  }

  submit(lane: Lane, tenant: string, count: number, submission: Submission = {}): Simulated[] {
    const { fromMs = 0, everyMs = 0, callMs = this.#callMs, dies = false } = submission;
    const { priority = UNSAID_PRIORITY } = submission;
    return Array.from({ length: count }, (_, number) => {
      const at = NOW + fromMs + number * everyMs;
      const id = `${lane}-${tenant}-${this.jobs.length}`;
      const job = { job: id, lane, tenant, priority, at, calledAt: Infinity, callMs, dies };
      this.jobs.push(job);
      this.#byId.set(id, job);
      this.#after(at - this.now, () => this.#send(job));
      return job;
    });
  }

  run(forMs: number): void {
    const until = this.now + forMs;
    for (;;) {
      const next = this.#due.at(-1);
      if (next === undefined || next.at > until) break;
      this.#due.pop();
      this.now = next.at;
      next.run();
    }
    this.now = until;
  }

  #send(job: Simulated): void {
    this.#after(this.#random() * MESSAGE_MS, () => {
      this.#waiting.get(job.lane)?.push(job);
      this.#consume(job.lane);
    });
  }

  #consume(lane: Lane): void {
    for (; this.#free[lane] > 0;) {
      const job = this.#waiting.get(lane)?.shift();
      if (job === undefined) return;
      const { job: id, tenant, priority, at: since, callMs } = job;
      this.asked++;
      const needs = { tokens: 1_000, since, lastsMs: callMs + LEASE_MS };
      const verdict = this.desk.ask({ job: id, lane, tenant, priority, ...needs }, 1, this.now);
      this.#follow();
      if (verdict.type === "parked") continue;
      job.calledAt = this.now;
      this.#free[lane] -= 1;
      this.#after(callMs, () => {
        this.#free[lane] += 1;
        if (!job.dies) this.#told(verdict.permit);
        this.#consume(lane);
      });
    }
  }

  /** The call under this permit is over. */
  #told({ id }: Permit): void {
    this.asked++;
    const remaining = id === null ? [] : [{ id, calls: 0 }];
    this.desk.hear({ spent: [], remaining, tokens: 0 }, this.now);
    this.#follow();
  }

  #follow(): void {
    for (const { job } of this.desk.takeRings()) {
      const rung = this.#byId.get(job);
      if (rung !== undefined) this.#send(rung);
    }
    const at = this.desk.serveAt(this.now);
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    this.#after(at - this.now, () => {
      this.asked++;
      this.#alarmAt = Infinity;
      this.desk.serve(this.now);
      this.#follow();
    });
  }

  #after(ms: number, run: () => void): void {
    const at = this.now + Math.max(0, ms);
    let [low, high] = [0, this.#due.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#due[middle]?.at ?? 0) > at) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, { at, run });
  }
}

/** Most of these instants in any 60 seconds. */
export function mostInAMinute(instants: number[]): number {
  const sorted = instants.toSorted((a, b) => a - b);
  let [most, from] = [0, 0];
  for (const [at, instant] of sorted.entries()) {
    while ((sorted[from] ?? 0) <= instant - 60_000) from++;
    most = Math.max(most, at - from + 1);
  }
  return most;
}

/** Most of these jobs' calls at once. */
export function mostAtOnce(jobs: Simulated[]): number {
  const called = jobs.filter(({ calledAt }) => calledAt < Infinity);
  const steps = called.flatMap(({ calledAt, callMs }) => [
    { at: calledAt, by: 1 },
    { at: calledAt + callMs, by: -1 },
  ]);
  let [most, now] = [0, 0];
  for (const { by } of steps.toSorted((a, b) => a.at - b.at || a.by - b.by)) {
    now += by;
    most = Math.max(most, now);
  }
  return most;
}
