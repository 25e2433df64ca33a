import { Gathering } from "../../src/domain/gathering.ts";
import type { Lane } from "../../src/domain/lane.ts";
import { PermitBlocks, type Permitted } from "../../src/domain/permit-blocks.ts";
import { PermitDesk } from "../../src/domain/permit-desk.ts";
import type { Wish } from "../../src/domain/permit.ts";
import type { Concurrency } from "../../src/domain/places.ts";
import { seeded } from "../support/random.ts";
import { MINUTE, NOW, SECOND } from "./fixtures.ts";
import { ENDLESS, MESSAGE_MS, ParkedInMemory } from "./permit-world.ts";

/** Who submits, where, and how often in a second. */
export type Source = { lane?: Lane; tenant: string; perSecond: number };

export type Load = {
  isolates: number;
  /** Of the provider, in a minute. */
  limit: number;
  sources: Source[];
  /** Words that the provider's object answers in a second; the others fail. */
  capacity?: number;
  callMs?: number;
  concurrency?: Concurrency;
};

export type Called = { tenant: string; lane: Lane; at: number; since: number };

type Isolate = { blocks: PermitBlocks; gatherings: Map<Lane, Gathering> };

const TICK_MS = 10;

/** A job nobody could be asked for comes again by its alarm. */
const ALARM_MS = 30 * SECOND;

/**
 * Isolates that come by more jobs than a provider allows, and its object, which hears only so many of them. They do as
 * `consumer/permits.ts` does. In steps of ten milliseconds, by a seed.
 */
export class OverloadWorld {
  readonly calls: Called[] = [];
  /** Instants of the words that were answered, and of those that were not. */
  readonly heard: number[] = [];
  readonly refused: number[] = [];
  readonly parked = new ParkedInMemory();
  readonly #desk: PermitDesk;
  readonly #isolates: Isolate[];
  readonly #load: Required<Load>;
  readonly #due = new Map<number, (() => void)[]>();
  readonly #random = seeded(7);
  #capacity = 0;
  #alarmAt = Infinity;
  #jobs = 0;
  now = NOW;

  constructor({ capacity = Infinity, callMs = 500, concurrency = ENDLESS, ...load }: Load) {
    this.#load = { ...load, capacity, callMs, concurrency };
    const limits = { requests: load.limit, tokens: null };
    const settings = { limits, concurrency, restedSince: 0, era: "desk" };
    this.#desk = new PermitDesk(this.parked, settings);
    this.#isolates = Array.from({ length: load.isolates }, () => {
      return { blocks: new PermitBlocks(), gatherings: new Map<Lane, Gathering>() };
    });
  }

  run(forMs: number): this {
    for (const until = this.now + forMs; this.now < until; this.now += TICK_MS) {
      const { capacity } = this.#load;
      this.#capacity = Math.min(capacity / 10, this.#capacity + (capacity * TICK_MS) / SECOND);
      const due = this.#due.get(this.now) ?? [];
      this.#due.delete(this.now);
      for (const run of due) run();
      for (const source of this.#load.sources) this.#submit(source);
      if (this.now >= this.#alarmAt) this.#alarm();
    }
    return this;
  }

  /** What comes in one step. */
  #submit({ lane = "high", tenant, perSecond }: Source): void {
    const most = 2 * perSecond * (TICK_MS / SECOND) * this.#random();
    for (let jobs = Math.floor(most + this.#random()); jobs > 0; jobs--) {
      const wish = { job: `job-${this.#jobs++}`, lane, tenant, tokens: 0, since: this.now };
      this.#come({ ...wish, lastsMs: MINUTE });
    }
  }

  /** A job's message comes to some isolate. */
  #come(wish: Wish): void {
    const isolate = this.#isolates[Math.floor(this.#random() * this.#load.isolates)];
    if (isolate === undefined) throw new Error("there is no isolate");
    const gathering = this.#gatheringOf(isolate, wish.lane);
    const { blocks } = isolate;
    const needs = { tokens: 0, lastsMs: MINUTE, rung: wish.rung };
    const taken = blocks.take(needs, this.now);
    if (taken !== null) return this.#call(isolate, taken, wish);
    if (wish.rung !== true && gathering.isResting(this.now)) {
      gathering.add(wish);
      return this.#sayGathered(isolate, wish.lane);
    }
    const { most, ...news } = blocks.asker(this.now, wish.rung);
    const isHeard = this.#say(() => {
      this.#desk.hear(news, this.now);
      const verdict = this.#desk.ask(wish, most, this.now);
      if (verdict.type === "parked") {
        blocks.parked();
        return gathering.rest(verdict.restMs ?? 0, this.now);
      }
      this.#call(isolate, blocks.put(verdict.permit, 0, this.now), wish);
    });
    if (!isHeard) this.#comeAgain([wish]);
  }

  #call(isolate: Isolate, held: Permitted, { lane, tenant, since }: Wish): void {
    this.calls.push({ tenant, lane, at: this.now, since });
    this.#after(this.#load.callMs, () => {
      isolate.blocks.over(held, 0);
      if (!isolate.blocks.isNewsDue(this.now)) return;
      const gathering = this.#gatheringOf(isolate, lane);
      if (gathering.isResting(this.now)) return this.#sayGathered(isolate, lane);
      const news = isolate.blocks.news();
      this.#say(() => this.#desk.hear(news, this.now));
    });
  }

  #sayGathered(isolate: Isolate, lane: Lane): void {
    const gathering = this.#gatheringOf(isolate, lane);
    const waitMs = gathering.sayIn(this.now);
    if (waitMs === null) return;
    this.#after(waitMs, () => {
      const [wishes, news] = [gathering.take(), isolate.blocks.news()];
      const isHeard = this.#say(() => {
        this.#desk.hear(news, this.now);
        gathering.rest(this.#desk.park(wishes, lane, this.now).restMs ?? 0, this.now);
      });
      if (isHeard) return;
      gathering.rest(0, this.now);
      this.#comeAgain(wishes);
    });
  }

  #gatheringOf({ gatherings }: Isolate, lane: Lane): Gathering {
    const gathering = gatherings.get(lane) ?? new Gathering();
    gatherings.set(lane, gathering);
    return gathering;
  }

  #comeAgain(wishes: Wish[]): void {
    for (const { rung: _, ...wish } of wishes) this.#after(ALARM_MS, () => this.#come(wish));
  }

  /** False: the object has too much to hear. */
  #say(word: () => void): boolean {
    if (this.#capacity < 1) {
      this.refused.push(this.now);
      return false;
    }
    this.#capacity -= 1;
    this.heard.push(this.now);
    word();
    this.#follow();
    return true;
  }

  #alarm(): void {
    this.#alarmAt = Infinity;
    this.#desk.serve(this.now);
    this.#follow();
  }

  #follow(): void {
    for (const wish of this.#desk.takeRings()) {
      this.#after(this.#random() * MESSAGE_MS, () => this.#come({ ...wish, rung: true }));
    }
    this.#alarmAt = Math.min(this.#alarmAt, this.#desk.serveAt(this.now));
  }

  /** Not within this step. */
  #after(ms: number, run: () => void): void {
    const at = this.now + Math.max(1, Math.ceil(ms / TICK_MS)) * TICK_MS;
    const others = this.#due.get(at);
    if (others === undefined) this.#due.set(at, [run]);
    else others.push(run);
  }
}
