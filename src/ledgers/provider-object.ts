import { DurableObject } from "cloudflare:workers";

import { AlarmClock } from "../alarm-clock.ts";
import { configOf } from "../settings/config.ts";
import type { Lane, Line } from "../domain/lane.ts";
import { measured } from "../domain/measured.ts";
import { outlookOf, type Outlook, type Place } from "../domain/outlook.ts";
import type { News, Spared, Verdict, Wish, WishKey } from "../domain/permit.ts";
import { PermitDesk } from "../domain/permit-desk.ts";
import { ALL_USED_MS } from "../domain/permit-life.ts";
import type { Limits } from "../domain/permits.ts";
import { blockMs, isNews, learnedOf, limitsOf, withLearned } from "../domain/provider-limits.ts";
import type { ProviderState } from "../domain/provider-view.ts";
import { logFault, logProvider } from "../log.ts";
import { concurrencyOf, limitSettingOf, tenantShareOf } from "../settings/limit-setting.ts";
import { ringAll } from "../queues.ts";
import type { Doorbell } from "../schema/message.ts";
import { ProviderStore, type ProviderRules } from "../storage/provider-store.ts";
import { ParkedCounts } from "./parked-counts.ts";
import type { AskerTold, CallTold, ProviderOrder } from "./provider-rpc.ts";

/** That permits are granted is written down for so long ahead: a row in five seconds, however many there are. */
const ACTIVE_FOR_MS = 5_000;

/** What is measured is written down with that row, and by itself no more often than this. */
const MEASURED_EVERY_MS = 60_000;

/** A 429 so long after the last block is the first again. */
const STRIKES_LAST_MS = 60_000;

const NO_NEWS: News = { spent: [], remaining: [], tokens: 0 };

/**
 * One provider's limits, for all lanes, tenants and consumers (docs/limits.md). Decides nothing itself: `domain/permit-desk.ts`
 * does.
 *
 * What is out is counted in memory, and a row says until when permits may have been granted. One that wakes begins with
 * what has accrued since then: after an eviction that is nearly all, after a crash nothing, and never too much.
 */
export class ProviderObject extends DurableObject<Env> {
  readonly #store = new ProviderStore(this.ctx.storage);
  readonly #alarm = new AlarmClock(this.ctx.storage);
  #rules = this.#store.rules();
  readonly #desk = new PermitDesk(this.#store, {
    limits: this.#limits(),
    concurrency: concurrencyOf(this.ctx.id.name ?? "", configOf(this.env)),
    tenantShare: tenantShareOf(this.ctx.id.name ?? ""),
    restedSince: this.#rules.activeUntil + ALL_USED_MS,
    era: crypto.randomUUID(),
  });
  readonly #counts = new ParkedCounts(this.#store);
  #measured = this.#rules.measured;
  #strikes = 0;

  ask(wish: Wish, { most, ...told }: AskerTold): Verdict {
    const now = this.#ruled();
    this.#hear(told, now);
    const verdict = this.#desk.ask(wish, most, now);
    this.#follow(now, verdict.type === "granted");
    return verdict;
  }

  park(line: Line, wishes: Wish[], news: News): Spared {
    const now = this.#ruled();
    this.#hear(news, now);
    const spared = this.#desk.park(wishes, line, now);
    this.#follow(now);
    return spared;
  }

  withdraw(wish: WishKey): void {
    const now = this.#ruled();
    this.#desk.withdraw(wish, now);
    this.#follow(now);
  }

  giveBack(id: string | null, news = NO_NEWS): void {
    const now = this.#ruled();
    this.#hear(id === null ? news : withReturned(news, id), now);
    this.#follow(now);
  }

  settle({ model, limited, learned, ...news }: CallTold): void {
    this.#learn(model, learnedOf(learned, Date.now()));
    this.#block({ limited, learned }, Date.now());
    const now = this.#ruled();
    this.#hear(news, now);
    this.#follow(now);
  }

  order({ paused, ...limits }: ProviderOrder): ProviderState {
    const order = { ...this.#rules.order, ...limits };
    this.#save({ order, paused: paused ?? this.#rules.paused });
    const now = this.#ruled();
    this.#desk.serve(now);
    this.#follow(now);
    return this.state();
  }

  state(): ProviderState {
    const { order, paused, learned, blockedUntil } = this.#rules;
    const { setting, fallback } = limitSettingOf(this.#name, configOf(this.env));
    const waiting = this.#store.waiting();
    const limits = this.#limits();
    return { limits, order, setting, fallback, learned, paused, blockedUntil, ...waiting };
  }

  outlook(place: Omit<Place, "provider">): Outlook {
    const now = this.#ruled();
    const { paused, blockedUntil } = this.#rules;
    const counts = this.#counts.of(place, now);
    const standing = this.#desk.standing(place.lane);
    const room = (tokens: number) => this.#desk.room(place.lane, tokens, now);
    const rules = { limits: this.#limits(), paused, blockedUntil, measured: this.#measured };
    return outlookOf({ ...counts, ...rules, standing, room }, place, now);
  }

  override alarm(): void {
    this.#alarm.stopped();
    try {
      const now = this.#ruled();
      this.#desk.serve(now);
      this.#follow(now);
    } catch (error) {
      // The platform gives an alarm that throws up after six tries, and those who wait would wait on.
      logFault("alarm.failed", { object: this.#name }, error);
      this.#alarm.tryAgain(Date.now());
    }
  }

  get #name(): string {
    return this.ctx.id.name ?? "";
  }

  #limits(): Limits {
    const { order, learned } = this.#rules;
    const { setting, fallback } = limitSettingOf(this.#name, configOf(this.env));
    return limitsOf({ order, setting, fallback, learned }, Date.now());
  }

  /** Now, by the rules as they are now. */
  #ruled(): number {
    const now = Date.now();
    const { paused, blockedUntil } = this.#rules;
    this.#desk.rule({ limits: this.#limits(), paused, blockedUntil }, now);
    return now;
  }

  /** Rings for those whose turn has come, and sets the alarm for who is next. */
  #follow(now: number, granted = false): void {
    const rings = this.#desk.takeRings();
    const isCounted = !this.#desk.unlimited && (granted || rings.length > 0);
    if (isCounted && now >= this.#rules.activeUntil) {
      this.#save({ activeUntil: now + ACTIVE_FOR_MS, ...this.#measurement(now) });
    }
    for (const [lane, doorbells] of this.#doorbells(rings)) {
      this.ctx.waitUntil(ringAll(this.env, lane, doorbells));
    }
    this.#alarm.set(this.#desk.serveAt(now));
  }

  #doorbells(rings: Wish[]): Map<Lane, Doorbell[]> {
    const byLane = Map.groupBy(rings, ({ lane }) => lane);
    const doorbell = ({ job, tenant, tokens, since, priority, lastsMs }: Wish) => {
      const needs = { provider: this.#name, tenant, tokens, since, priority, lastsMs, rung: true };
      return { job, needs };
    };
    return new Map([...byLane].map(([lane, wishes]) => [lane, wishes.map(doorbell)]));
  }

  #hear(news: Partial<News>, now: number): void {
    this.#desk.hear({ ...NO_NEWS, ...news }, now);
    const { served = [] } = news;
    this.#measured = measured(this.#measured, served, now);
    const isDue = now >= this.#rules.measuredAt + MEASURED_EVERY_MS;
    if (served.length > 0 && isDue) this.#save(this.#measurement(now));
  }

  #measurement(now: number): Pick<ProviderRules, "measured" | "measuredAt"> {
    return { measured: this.#measured, measuredAt: now };
  }

  #learn(model: string, known: ReturnType<typeof learnedOf>): void {
    if (known === null) return;
    const { learned } = this.#rules;
    if (isNews(learned[model], known)) this.#save({ learned: withLearned(learned, model, known) });
  }

  /** Answers to calls that were under way together are one strike. */
  #block(answer: Pick<CallTold, "limited" | "learned">, now: number): void {
    const { blockedUntil } = this.#rules;
    if (now > blockedUntil + STRIKES_LAST_MS) this.#strikes = 0;
    const isUnsaid = answer.limited && (answer.learned?.retryAfterMs ?? null) === null;
    if (isUnsaid && now >= blockedUntil) this.#strikes += 1;
    const before = Math.max(0, this.#strikes - 1);
    const ms = blockMs(answer, before, configOf(this.env).RETRY_MAX_MS);
    if (ms === 0 || now + ms <= blockedUntil) return;
    this.#save({ blockedUntil: now + ms });
    logProvider("provider.blocked", this.#name, ms);
  }

  #save(changes: Partial<ProviderRules>): void {
    const rules = { ...this.#rules, ...changes };
    this.#store.saveRules(rules);
    this.#rules = rules;
  }
}

/** The same, and that the one call of this permit was not made. A permit is never more than it was. */
function withReturned(news: News, id: string): News {
  const rest = { requests: Infinity, tokens: Infinity };
  const spent = [...news.spent, { id, rest }];
  return { ...news, spent, remaining: [...news.remaining, { id, calls: 0 }] };
}
