import type { Delivery, Outbox } from "./outbox.ts";
import { isTerminal } from "./webhook.ts";

/**
 * Attempts kept of all deliveries, and deliveries of each log: what is kept must fit a row of 2 MB (platform limit), and
 * an attempt may hold an answer of 2 KB.
 */
const KEPT_ATTEMPTS_IN_ALL = 400;
const KEPT_DELIVERIES = 200;

/** Without the oldest deliveries that are settled, but for ends, if there are too many. */
export function kept(outbox: Delivery[]): Delivery[] {
  let excess = outbox.length - KEPT_DELIVERIES;
  return outbox.filter(({ status, event }) => {
    const goes = excess > 0 && status !== "pending" && !isTerminal(event);
    if (goes) excess -= 1;
    return !goes;
  });
}

/** Without the oldest attempt if there are too many in all. */
export function withoutOldest(outbox: Outbox): Outbox {
  const attempts = outbox.flatMap((delivery) => delivery.attempts);
  if (attempts.length <= KEPT_ATTEMPTS_IN_ALL) return outbox;
  const oldest = attempts.reduce((one, other) => (other.at < one.at ? other : one));
  return outbox.map((delivery) =>
    delivery.attempts.includes(oldest)
      ? { ...delivery, attempts: delivery.attempts.filter((attempt) => attempt !== oldest) }
      : delivery,
  );
}
