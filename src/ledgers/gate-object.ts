import { DurableObject } from "cloudflare:workers";

import { configOf } from "../settings/config.ts";
import { enter, leave, OPEN_GATE, type Entry } from "../domain/gate.ts";

/** A pass outlives the attempt's own limit by so much, for its way there and back. */
const GRACE_MS = 5_000;

/** How long somebody may be kept at the gate, in milliseconds, and how many at once: consumers have other things to do. */
const NEAR_MS = 1_000;
const MOST_WAITING = 50;

/**
 * The gate to one origin: so many deliveries pass at once, so a receiver that is dead holds a few consumers and not all.
 * In memory only. Evicted or restarted it forgets who is under way, and lets a full number in besides them: for seconds,
 * until those are back, which does no harm. A row for every pass would cost more than the delivery.
 */
export class GateObject extends DurableObject<Env> {
  #gate = OPEN_GATE;
  /** Called one after the other, as others leave. */
  #waiting: (() => void)[] = [];

  /** Who would have to come again in a second is kept at the gate for that long: at a quick origin its turn comes sooner. */
  async enter(pass: string): Promise<Entry> {
    for (let mayStay = true; ; mayStay = await this.#turn()) {
      const { gate, entry } = this.#ask(pass);
      const isNear = entry.type === "wait" && entry.delaySeconds * 1_000 <= NEAR_MS;
      if (isNear && mayStay && this.#waiting.length < MOST_WAITING) continue;
      this.#gate = gate;
      return entry;
    }
  }

  leave(pass: string, latencyMs: number | null): void {
    this.#gate = leave(this.#gate, pass, latencyMs, Date.now());
    this.#waiting.shift()?.();
  }

  #ask(pass: string) {
    const { WEBHOOK_ORIGIN_CONCURRENCY: cap, WEBHOOK_TIMEOUT_MS } = configOf(this.env);
    const rules = { cap, passMs: WEBHOOK_TIMEOUT_MS + GRACE_MS };
    return enter(this.#gate, pass, rules, Date.now(), Math.random());
  }

  /** Resolves to whether somebody has left. */
  #turn(): Promise<boolean> {
    return new Promise((resolve) => {
      const called = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((other) => other !== called);
        resolve(false);
      }, NEAR_MS);
      this.#waiting.push(called);
    });
  }
}
