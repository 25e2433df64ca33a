import type { DeliveryView, JobWebhookEvent } from "../schema/delivery.ts";
import {
  nextAttemptMs,
  LONGEST_QUICK_WAIT_MS,
  QUICK_ATTEMPTS,
  type DeliveryOutcome,
} from "./delivery.ts";
import { iso } from "./instant.ts";
import type { JobSpec, LogEvent, Ring } from "./job.ts";
import { ringDelayMs } from "./retry.ts";
import { isTerminal, webhookEventOf } from "./webhook.ts";

/** One try at a delivery. `token`: of who made it, so that one told twice is known once. */
export type DeliveryAttempt = { token: string; at: number } & Omit<DeliveryOutcome, "retryAfterMs">;

/** One event owed to one receiver, across all attempts at it. Its body is beside its event, in the log's row. */
export type Delivery = {
  /** Its `webhook-id`: the same on every attempt, without a dot. */
  id: string;
  event: JobWebhookEvent;
  /** Of its event in the log. */
  seq: number;
  createdAt: number;
  /** Attempts since it was owed or last replayed: its place in the schedule. */
  tries: number;
  /** The latest, in the order in which they were told: that of a consumer thought dead may come after one begun later. */
  attempts: DeliveryAttempt[];
  /** Asked for once more by its owner, who may ask out of order. */
  isReplay: boolean;
} &
  /** `ringAt`: when the consumer is told of it again. */
  (
    | ({ status: "pending"; dueAt: number } & Ring)
    | { status: "delivered" | "failed" | "gone" | "superseded" }
  );

type Pending = Extract<Delivery, { status: "pending" }>;
type Settled = Exclude<Delivery["status"], "pending">;

/** Deliveries of one job, in the order of their events. */
export type Outbox = readonly Delivery[];

/** `job.progress` goes out at most so often, in milliseconds (the contract's number). */
const PROGRESS_EVERY_MS = 500;

/**
 * Attempts kept of each delivery and of all of them, and deliveries of each job: what is kept must fit a row of 2 MB
 * (platform limit), and an attempt may hold an answer of 2 KB.
 */
const KEPT_ATTEMPTS = 15;
const KEPT_ATTEMPTS_IN_ALL = 400;
const KEPT_DELIVERIES = 200;

/** The outbox once these events have happened. The very same one if none of them is asked for. */
export function owe(
  outbox: Outbox,
  { uid, webhook }: Pick<JobSpec, "uid" | "webhook">,
  events: readonly LogEvent[],
  now: number,
): Outbox {
  let owed = outbox;
  for (const { seq, event } of events.flatMap(asDelivered)) {
    if (webhook?.events.includes(event) !== true) continue;
    const fresh = deliveryOf({ id: `msg_${uid}_${seq}`, event, seq }, owed, now);
    owed = overtaken([...owed, isUnwanted(owed) ? settled(fresh, "gone") : fresh], now);
  }
  // What came and was overtaken within one write was never anybody's to deliver.
  const known = new Set(outbox.map(({ id }) => id));
  const isKept = ({ id, status }: Delivery) => known.has(id) || status !== "superseded";
  return owed === outbox ? outbox : kept(owed.filter(isKept));
}

/** Whether the receiver's last word was that it wants no more. */
function isUnwanted(outbox: Outbox): boolean {
  const attempts = outbox.flatMap((delivery) => delivery.attempts);
  return attempts.toSorted((one, other) => one.at - other.at).at(-1)?.type === "gone";
}

function asDelivered(event: LogEvent): { seq: number; event: JobWebhookEvent }[] {
  const name = webhookEventOf(event);
  return name === null ? [] : [{ seq: event.seq, event: name }];
}

/** Due at once, but for progress, which waits its turn. */
function deliveryOf(
  told: Pick<Delivery, "id" | "event" | "seq">,
  outbox: Outbox,
  now: number,
): Pending {
  const dueAt = told.event === "job.progress" ? Math.max(now, progressTurn(outbox)) : now;
  const ring = dueAt > now ? { rings: 0, ringAt: dueAt } : rungNow(0, now);
  const fresh = { createdAt: now, tries: 0, attempts: [], isReplay: false };
  return { ...told, ...fresh, status: "pending", dueAt, ...ring };
}

/** When progress may be told again. One that still waits gives its turn to the next. */
function progressTurn(outbox: Outbox): number {
  const last = outbox.findLast(({ event }) => event === "job.progress");
  if (last === undefined) return 0;
  if (isPending(last) && last.tries === 0) return last.dueAt;
  return (lastAttemptAt(last) ?? last.createdAt) + PROGRESS_EVERY_MS;
}

/** When the latest attempt began, whichever was told last; null if there was none. */
function lastAttemptAt({ attempts }: Delivery): number | null {
  return attempts.length === 0 ? null : Math.max(...attempts.map(({ at }) => at));
}

/** Keeps progress that came while some was on its way from following it too closely. */
function spaced(outbox: Outbox, tried: Delivery): Outbox {
  const lastAt = lastAttemptAt(tried);
  if (tried.event !== "job.progress" || lastAt === null) return outbox;
  const turn = lastAt + PROGRESS_EVERY_MS;
  return outbox.map((delivery) =>
    isPending(delivery) && delivery.event === "job.progress" && delivery.dueAt < turn
      ? { ...delivery, dueAt: turn, ringAt: turn, rings: 0 }
      : delivery,
  );
}

/**
 * Notices that something later has made pointless. Progress is a snapshot: the next event replaces it. That an
 * attempt started is retried for as long as nothing newer waits behind it; then it must not hold the end back for
 * longer than its quick attempts, nor for a wait that its receiver asked for.
 */
function overtaken(outbox: Outbox, now: number): Delivery[] {
  return outbox.map((delivery, at) => {
    if (!isPending(delivery) || isTerminal(delivery.event) || delivery.isReplay) return delivery;
    const newer = outbox.slice(at + 1).filter(isPending);
    const isReplaced =
      delivery.event === "job.progress" &&
      newer.some(({ event }) => event === "job.progress" || isTerminal(event));
    const isSlow = delivery.tries >= QUICK_ATTEMPTS || delivery.dueAt - now > LONGEST_QUICK_WAIT_MS;
    const isSpent = newer.length > 0 && isSlow;
    return isReplaced || isSpent ? settled(delivery, "superseded") : delivery;
  });
}

function settled(delivery: Delivery, status: Settled): Delivery {
  const { id, event, seq, createdAt, tries, attempts, isReplay } = delivery;
  return { id, event, seq, createdAt, tries, attempts, isReplay, status };
}

function kept(outbox: Delivery[]): Delivery[] {
  let excess = outbox.length - KEPT_DELIVERIES;
  return outbox.filter((delivery) => {
    const goes = excess > 0 && !isPending(delivery) && !isTerminal(delivery.event);
    if (goes) excess -= 1;
    return !goes;
  });
}

export function isPending(delivery: Delivery): delivery is Pending {
  return delivery.status === "pending";
}

/** When the last attempt at a delivery was made that was then given up; null if none was. */
export function lastGivenUpAt(outbox: Outbox): number | null {
  const ends = outbox.flatMap((delivery) =>
    delivery.status === "failed" ? (lastAttemptAt(delivery) ?? []) : [],
  );
  return ends.length === 0 ? null : Math.max(...ends);
}

/** The deliveries whose turn it is: replays, and the first that is owed. Events of one job arrive in their order. */
function inTurn(outbox: Outbox): Pending[] {
  const pending = outbox.filter(isPending);
  const first = pending.find(({ isReplay }) => !isReplay);
  return pending.filter((delivery) => delivery.isReplay || delivery === first);
}

/** The delivery to be attempted now; null if none is due. */
export function nextDelivery(outbox: Outbox, now: number): Delivery | null {
  return inTurn(outbox).find(({ dueAt }) => dueAt <= now) ?? null;
}

/** Whether something can be attempted now that could not be before. */
export function hasComeDue(before: Outbox, after: Outbox, now: number): boolean {
  const due = nextDelivery(after, now);
  return before !== after && due !== null && due.id !== nextDelivery(before, now)?.id;
}

/** When the consumer is to be told again; Infinity if nothing is owed. */
export function outboxRingsAt(outbox: Outbox): number {
  return Math.min(...inTurn(outbox).map(({ ringAt }) => ringAt));
}

/** The outbox once the consumer was told of what is due. The very same one if nothing is. */
export function rungOutbox(outbox: Outbox, now: number): Outbox {
  const due = new Set<Delivery>(inTurn(outbox).filter(({ ringAt }) => ringAt <= now));
  if (due.size === 0) return outbox;
  return outbox.map((delivery) =>
    isPending(delivery) && due.has(delivery)
      ? { ...delivery, ...rungNow(delivery.rings, now) }
      : delivery,
  );
}

function rungNow(rings: number, now: number): Ring {
  return { rings: rings + 1, ringAt: now + ringDelayMs(rings + 1) };
}

/** What an attempt came to, and by whom it was made. */
export type AttemptTold = { deliveryId: string; token: string; outcome: DeliveryOutcome };

/**
 * The outbox after an attempt; the same one if it was told before or is about no delivery there is. `jitter` is a
 * random number in [0, 1).
 */
export function attempted(outbox: Outbox, told: AttemptTold, jitter: number, now: number): Outbox {
  const delivery = outbox.find(({ id }) => id === told.deliveryId);
  if (delivery === undefined || delivery.attempts.some(({ token }) => token === told.token)) {
    return outbox;
  }
  const after = afterAttempt(withAttempt(delivery, told, now), told.outcome, jitter, now);
  const others = outbox.map((other) => {
    if (other === delivery) return after;
    // Whoever wants no more of this webhook wants none of its other events.
    const ends = told.outcome.type === "gone" && isPending(other) && !other.isReplay;
    return ends ? settled(other, "gone") : other;
  });
  return spaced(overtaken(withoutOldest(others), now), after);
}

/** Without the oldest attempt if there are too many in all. */
function withoutOldest(outbox: Outbox): Outbox {
  const attempts = outbox.flatMap((delivery) => delivery.attempts);
  if (attempts.length <= KEPT_ATTEMPTS_IN_ALL) return outbox;
  const oldest = attempts.reduce((one, other) => (other.at < one.at ? other : one));
  return outbox.map((delivery) =>
    delivery.attempts.includes(oldest)
      ? { ...delivery, attempts: delivery.attempts.filter((attempt) => attempt !== oldest) }
      : delivery,
  );
}

function withAttempt(delivery: Delivery, told: AttemptTold, now: number): Delivery {
  const { retryAfterMs: _, ...outcome } = told.outcome;
  const attempt = { token: told.token, at: now - outcome.latencyMs, ...outcome };
  const attempts = [...delivery.attempts, attempt].slice(-KEPT_ATTEMPTS);
  return { ...delivery, attempts, tries: delivery.tries + 1 };
}

function afterAttempt(
  delivery: Delivery,
  outcome: DeliveryOutcome,
  jitter: number,
  now: number,
): Delivery {
  if (outcome.type === "delivered") return settled(delivery, "delivered");
  if (!isPending(delivery)) return delivery;
  if (outcome.type === "gone") return settled(delivery, "gone");
  const waitMs = nextAttemptMs(delivery.tries, outcome, jitter);
  if (waitMs === null) return settled(delivery, "failed");
  // An older attempt may be told after a newer one, whose receiver has asked for more time.
  const dueAt = Math.max(delivery.dueAt, now + waitMs);
  return { ...delivery, dueAt, ringAt: dueAt, rings: 0 };
}

/** The outbox with one delivery owed once more, from the start of its schedule; the same one if there is no such delivery. */
export function replayed(outbox: Outbox, deliveryId: string, now: number): Outbox {
  if (!outbox.some(({ id }) => id === deliveryId)) return outbox;
  return outbox.map((delivery) =>
    delivery.id === deliveryId ? owedAgain(delivery, outbox, now) : delivery,
  );
}

/** What was settled may come in any order; what is still owed keeps its place behind the others, and progress its pace. */
function owedAgain(delivery: Delivery, outbox: Outbox, now: number): Pending {
  const isReplay = delivery.isReplay || !isPending(delivery);
  const again = { ...delivery, tries: 0, isReplay, status: "pending" } as const;
  const isPaced = !isReplay && delivery.event === "job.progress";
  const dueAt = isPaced ? Math.max(now, progressTurn(outbox)) : now;
  return { ...again, dueAt, ...(dueAt > now ? { rings: 0, ringAt: dueAt } : rungNow(0, now)) };
}

/** A delivery as the job's owner sees it. */
export function deliveryView(delivery: Delivery): DeliveryView {
  const { id, event, status, createdAt, attempts } = delivery;
  return {
    delivery_id: id,
    event,
    status,
    created_at: iso(createdAt),
    next_attempt_at: isPending(delivery) ? iso(delivery.dueAt) : null,
    attempts: attempts.map((attempt) => ({
      at: iso(attempt.at),
      outcome: attempt.type,
      status: attempt.status,
      latency_ms: attempt.latencyMs,
      error: attempt.error,
      answer: attempt.answer,
    })),
  };
}
