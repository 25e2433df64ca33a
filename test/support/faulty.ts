import { seeded } from "./random.ts";

/** Everything that may fail. */
export const KINDS = [
  "call lost",
  "answer lost",
  "object reset",
  "object evicted",
  "all objects aborted",
  "caller suspended",
  "consumers frozen",
  "write failed",
  "read failed",
  "alarms late",
  "queue full",
  "message lost",
  "message late",
  "message doubled",
  "send's answer lost",
  "old message replayed",
  "provider unreachable",
  "no headers",
  "error status",
  "answer broken off",
] as const;
export type Kind = (typeof KINDS)[number];

/**
 * Strikes at random, but by a seed: what failed once fails again.
 *
 * Knows nothing of what it strikes. The wrappers below ask it at every call whether this is one that fails,
 * and how; which kinds have struck is kept, because a run without faults proves nothing.
 */
export class Faults {
  readonly struck = new Set<Kind>();
  /** While true nothing fails, so that what is left can be looked at. */
  resting = false;
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  /** Whether a fault of this kind strikes now; `share` of all the calls it could strike it does. */
  strike(kind: Kind, share: number): boolean {
    if (this.#random() >= share || this.resting) return false;
    this.struck.add(kind);
    return true;
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.between(0, choices.length - 1)] ?? choices[0];
  }

  shuffled<T>(list: readonly T[]): T[] {
    return list
      .map((item) => ({ item, at: this.#random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}

/** Any call from afar: its name and arguments are passed on as they are. */
export type Call = (method: string, args: unknown[]) => Promise<unknown>;

/**
 * The way to an object: a call may be lost before it took effect, or its answer after it did. `reset` makes the
 * object forget all it has in memory; it is called after the effect and before the answer is lost.
 */
export function faultyCall(call: Call, faults: Faults, reset: () => Promise<void>): Call {
  return async (method, args) => {
    if (faults.strike("call lost", 0.08)) throw new Error("Network connection lost");
    const answer = await call(method, args);
    if (faults.strike("answer lost", 0.06)) throw new Error("Network connection lost");
    if (faults.strike("object reset", 0.02)) {
      await reset();
      throw new Error("Durable Object reset because its code was updated");
    }
    return answer;
  };
}

/** A caller that has a lease is suspended with its next call in hand for longer than the lease: it speaks as a zombie. */
export function sleepyCall(call: Call, faults: Faults, leaseMs: number): Call {
  return async (method, args) => {
    if (method !== "lease" && faults.strike("caller suspended", 0.1)) {
      const ms = faults.between(leaseMs, 2 * leaseMs);
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
    return call(method, args);
  };
}

/** A stub whose every method is this call, whatever its type says it has. */
export function stubOf(call: Call): never {
  const get = (_target: object, method: string | symbol) => {
    // A stub that is returned from an async function is asked whether it is a promise.
    if (method === "then" || typeof method === "symbol") return undefined;
    return (...args: unknown[]) => call(method, args);
  };
  return new Proxy({}, { get }) as never;
}

/** Puts a message into its queue, to be delivered after `delayMs`. */
export type Send<M> = (message: M, delayMs: number) => void;

/** A queue that loses messages, doubles them, delivers them late, is full, or has sent what it says it has not. */
export function faultySend<M>(
  send: Send<M>,
  faults: Faults,
): (...args: Parameters<Send<M>>) => Promise<void> {
  return async (message, delayMs) => {
    if (faults.strike("queue full", 0.05)) throw new Error("Queue is overloaded");
    if (faults.strike("message lost", 0.1)) return;
    const lateMs = faults.strike("message late", 0.1) ? faults.between(1_000, 120_000) : 0;
    send(message, delayMs + lateMs);
    if (faults.strike("message doubled", 0.15)) send(message, delayMs + faults.between(0, 5_000));
    if (faults.strike("send's answer lost", 0.05)) throw new Error("Network connection lost");
  };
}

/** A synchronous storage operation. */
type Operation = (...args: unknown[]) => unknown;

/**
 * A disk that fails before it has done anything. There is no throw after a write: one that fails later than its
 * statement takes the whole instance with it (`object reset`), and the turn's other writes with it.
 */
export function faultyOperation(kind: Kind, operation: Operation, faults: Faults): Operation {
  return function (this: unknown, ...args: unknown[]): unknown {
    if (faults.strike(kind, 0.03)) throw new Error("disk I/O error");
    return Reflect.apply(operation, this, args);
  };
}
