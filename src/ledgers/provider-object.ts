import { DurableObject } from "cloudflare:workers";

import { AlarmClock } from "../alarm-clock.ts";
import { configOf } from "../settings/config.ts";
import type { Asker } from "../domain/permit-blocks.ts";
import { ALL_USED_MS, PermitDesk, type Verdict, type Wish } from "../domain/permit-desk.ts";
import type { Limits } from "../domain/permits.ts";
import { blockMs, isNews, learnedOf, limitsOf, withLearned } from "../domain/provider-limits.ts";
import type { ProviderState } from "../domain/provider-view.ts";
import { logFault, logProvider } from "../log.ts";
import { limitSettingOf } from "../settings/limit-setting.ts";
import { ring } from "../queues.ts";
import { ProviderStore, type ProviderRules } from "../storage/provider-store.ts";
import type { CallTold, ProviderOrder } from "./provider-rpc.ts";

/** That permits are granted is written down for so long ahead: a row in five seconds, however many there are. */
const ACTIVE_FOR_MS = 5_000;

/** A 429 so long after the last block is the first again. */
const STRIKES_LAST_MS = 60_000;

/** The whole of a giving back: a permit is never more than it was. */
const ALL = { requests: Infinity, tokens: Infinity };

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
  readonly #desk = new PermitDesk(
    this.#store,
    this.#limits(),
    this.#rules.activeUntil + ALL_USED_MS,
    crypto.randomUUID(),
  );
  #strikes = 0;

  ask(wish: Wish, { most, spent, tokens }: Asker): Verdict {
    const now = this.#ruled();
    for (const { id, rest } of spent) this.#desk.giveBack(id, rest, now);
    if (tokens !== 0) this.#desk.correct(tokens, now);
    const verdict = this.#desk.ask(wish, most, now);
    this.#follow(now, verdict.type === "granted" && verdict.permit.id !== null);
    return verdict;
  }

  giveBack(id: string): void {
    const now = this.#ruled();
    this.#desk.giveBack(id, ALL, now);
    this.#follow(now);
  }

  settle({ model, tokens, limited, learned }: CallTold): void {
    this.#learn(model, learnedOf(learned, Date.now()));
    this.#block({ limited, learned }, Date.now());
    const now = this.#ruled();
    this.#desk.correct(tokens, now);
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
    if ((granted || rings.length > 0) && now >= this.#rules.activeUntil) {
      this.#save({ activeUntil: now + ACTIVE_FOR_MS });
    }
    for (const { lane, job, ...needs } of rings) {
      const hint = { ...needs, provider: this.#name };
      this.ctx.waitUntil(ring(this.env, lane, { job, needs: hint }));
    }
    this.#alarm.set(this.#desk.serveAt(now));
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
