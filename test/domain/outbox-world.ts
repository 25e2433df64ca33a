import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import {
  attempted,
  nextDelivery,
  outboxRingsAt,
  replayed,
  rungOutbox,
  type Delivery,
  type Outbox,
} from "../../src/domain/outbox.ts";
import { isTerminal } from "../../src/domain/webhook.ts";
import { NOW, SECOND } from "./fixtures.ts";
import { law } from "./invariants.ts";
import { owing, type EventType } from "./outbox-fixtures.ts";

/** An attempt on its way to the receiver. */
type Flight = { id: string; token: string; startedAt: number };

/** An outbox, and what an observer between it and its receiver has seen. */
export type OutboxWorld = {
  outbox: Outbox;
  now: number;
  seq: number;
  hasEnded: boolean;
  flight: Flight | null;
  /** Attempts whose consumer died before it told: what it would have told may come yet. */
  lost: Flight[];
  begun: number;
  /** Of attempts that were not replays. */
  latestSeq: number;
  progressAt: number;
  /** What the receiver took and the outbox knows of, until it is asked for again. */
  taken: Set<string>;
  names: Map<string, number>;
};

/** So long after its consumer died a delivery is given to another. */
const CLAIM_MS = 15 * SECOND;

export function newOutboxWorld(): OutboxWorld {
  const seen = { begun: 0, latestSeq: 0, progressAt: -Infinity };
  const empty = { outbox: [], now: NOW, seq: 1, hasEnded: false, flight: null, lost: [] };
  return { ...empty, ...seen, taken: new Set(), names: new Map() };
}

const ENDS: ReadonlySet<EventType> = new Set(["completed", "failed", "cancelled"]);

export function happen(world: OutboxWorld, types: EventType[]): void {
  for (const type of types) {
    if (world.hasEnded) return;
    world.hasEnded = ENDS.has(type);
  }
  const told = types.map((type): [EventType, number] => [type, ++world.seq]);
  take(world, owing(world.outbox, told, world.now));
}

/** A consumer comes, and takes what is due if nobody is at it. */
export function begin(world: OutboxWorld): boolean {
  const delivery = world.flight === null ? nextDelivery(world.outbox, world.now) : null;
  if (delivery === null) return false;
  const token = `pass-${++world.begun}`;
  world.flight = { id: delivery.id, token, startedAt: world.now };
  law(7, !world.taken.has(delivery.id), "what was delivered is not attempted again");
  if (!delivery.isReplay) inOrder(world, delivery);
  return true;
}

function inOrder(world: OutboxWorld, { seq, event }: Delivery): void {
  law(7, seq >= world.latestSeq, "events go out in their order");
  world.latestSeq = seq;
  if (event !== "job.progress") return;
  law(7, world.now - world.progressAt >= 500, "progress goes out twice a second at most");
  world.progressAt = world.now;
}

export function tell(world: OutboxWorld, outcome: DeliveryOutcome, jitter = 0.5): void {
  const { flight } = world;
  if (flight === null) return;
  world.flight = null;
  hear(world, flight, outcome, jitter);
}

/** What was told before is told again; or a consumer that was thought dead tells at last. */
export function tellLate(world: OutboxWorld, outcome: DeliveryOutcome): void {
  const late = world.lost.shift();
  if (late !== undefined) hear(world, late, outcome, 0.5);
}

function hear(world: OutboxWorld, flight: Flight, outcome: DeliveryOutcome, jitter: number): void {
  const { id: deliveryId, token, startedAt } = flight;
  const told = { deliveryId, token, outcome: { ...outcome, latencyMs: world.now - startedAt } };
  const after = attempted(world.outbox, told, jitter, world.now);
  take(world, after);
  law(7, attempted(after, told, 0.1, world.now + 1) === after, "told twice is known once");
  if (outcome.type === "delivered") world.taken.add(deliveryId);
}

/** The consumer dies: the receiver may have taken it, and the outbox never hears. */
export function crash(world: OutboxWorld): void {
  if (world.flight === null) return;
  world.lost.push(world.flight);
  world.flight = null;
  world.now += CLAIM_MS;
}

export function replay(world: OutboxWorld, which: number): void {
  const delivery = world.outbox[which % world.outbox.length];
  if (delivery === undefined) return;
  world.taken.delete(delivery.id);
  take(world, replayed(world.outbox, delivery.id, world.now));
}

export function ring(world: OutboxWorld): void {
  take(world, rungOutbox(world.outbox, world.now));
  law(2, outboxRingsAt(world.outbox) > world.now, "a bell that has rung is not due at once");
}

function take(world: OutboxWorld, after: Outbox): void {
  const owes = after.some(({ status }) => status === "pending");
  law(2, Number.isFinite(outboxRingsAt(after)) === owes, "the bell rings while anything is owed");
  law(7, after.length <= 201, "an outbox is bounded");
  const ids = new Set(after.map(({ id }) => id));
  law(7, ids.size === after.length, "no two deliveries have one id");
  for (const { id, seq, attempts } of after) {
    law(7, !id.includes("."), "an id has no dot");
    law(7, (world.names.get(id) ?? seq) === seq, "an id is one event's for good");
    law(7, attempts.length <= 15, "the attempts of a delivery are bounded");
    world.names.set(id, seq);
  }
  for (const before of world.outbox) endIsKept(before, after);
  world.outbox = after;
}

/** Nothing but its delivery, a 410 or the end of its schedule settles the last word on a job. */
function endIsKept(before: Delivery, after: Outbox): void {
  if (!isTerminal(before.event)) return;
  const now = after.find(({ id }) => id === before.id);
  law(7, now !== undefined, "the last word is never dropped");
  law(7, now.status !== "superseded", "the last word is never overtaken");
  if (before.status !== "pending" || now.status !== "failed") return;
  law(7, now.tries === 12, "the last word is tried on the whole schedule");
}
