import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import { iso } from "../../src/domain/instant.ts";
import type { Fact, LogEvent } from "../../src/domain/job.ts";
import { attempted, owe, type Delivery, type Outbox } from "../../src/domain/outbox.ts";
import { ANSWER, BROKEN, CURIOUS, NOW } from "./fixtures.ts";

export const UID = "uid-of-test-123";

const FACTS = {
  queued: { type: "queued", priority: "pro" },
  started: { type: "started", attempt: 1, model: "gpt-4o", provider: "openai" },
  progress: { type: "progress", progress: 10, step: "Starting LLM API call" },
  delta: { type: "delta", delta: "Hello", attempt: 1 },
  completed: { type: "completed", result: ANSWER },
  failed: { type: "failed", error: "Down", error_code: "provider_unavailable", attempts: 1 },
  cancelled: { type: "cancelled", reason: "Cancelled by the client" },
} as const satisfies Record<string, Fact>;

export type EventType = keyof typeof FACTS;

export function eventOf(type: EventType, seq: number, at = NOW): LogEvent {
  return { ...FACTS[type], seq, at: iso(at) };
}

/** The outbox once these have happened, in one write at `at`; `told`: events by type, each with its `seq`. */
export function owing(
  outbox: Outbox,
  told: [EventType, number][],
  at = NOW,
  webhook = CURIOUS,
): Outbox {
  const events = told.map(([type, seq]) => eventOf(type, seq, at));
  return owe(outbox, { uid: UID, webhook }, events, at);
}

export function idOf(seq: number): string {
  return `msg_${UID}_${seq}`;
}

/** The outbox after an attempt at the delivery of the event `seq`, told at `at` by a consumer of its own. */
export function tried(
  outbox: Outbox,
  seq: number,
  outcome: DeliveryOutcome,
  at: number,
  token = `pass-${at}-${seq}`,
): Outbox {
  return attempted(outbox, { deliveryId: idOf(seq), token, outcome }, 0.5, at);
}

export function deliveryOf(outbox: Outbox, seq: number): Delivery {
  const delivery = outbox.find((one) => one.seq === seq);
  if (delivery === undefined) throw new Error(`nothing is kept of ${seq}`);
  return delivery;
}

/** What has become of each: its event's `seq` and its status. */
export function statuses(outbox: Outbox): Record<number, Delivery["status"]> {
  return Object.fromEntries(outbox.map(({ seq, status }) => [seq, status]));
}

/** When it is attempted next, in milliseconds after `NOW`; null if it is settled. */
export function dueIn(outbox: Outbox, seq: number): number | null {
  const delivery = deliveryOf(outbox, seq);
  return delivery.status === "pending" ? delivery.dueAt - NOW : null;
}

/** Of a job that has completed. */
export const ENDED = owing([], [["completed", 3]]);

/** Failed so often, each time as soon as it was due. */
export function failing(
  times: number,
  outbox: Outbox = ENDED,
  seq = 3,
): { outbox: Outbox; at: number } {
  let [after, at] = [outbox, NOW];
  for (let made = 0; made < times; made++) {
    at = NOW + (dueIn(after, seq) ?? Number.NaN);
    after = tried(after, seq, { ...BROKEN, latencyMs: 0 }, at);
  }
  return { outbox: after, at };
}
