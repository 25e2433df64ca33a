import { setTimeout as sleep } from "node:timers/promises";

import { Connections } from "./load.ts";

/** An event as it came to a receiver: when, and when the job had ended of which it tells. Epoch milliseconds. */
export type Taken = { jobId: string; deliveryId: string; endedAt: number; at: number };

/** Far beyond what any of it takes. */
const ALL_WITHIN_MS = 300_000;
const POLL_MS = 100;

/**
 * The events that came to a receiver's URL from `since` on (epoch ms), once there are so many: each as it came first,
 * for on a machine that is busy with others one may come twice.
 */
export async function takenAt(hook: string, count: number, since = 0): Promise<Taken[]> {
  const { origin, pathname } = new URL(hook);
  using receiver = new Connections(origin);
  const deadline = Date.now() + ALL_WITHIN_MS;
  const told = async (what: string) =>
    receiver.ask({ path: `/-/${what}?path=${pathname}&since=${since}` }, 200);
  while (Number(await told("count")) < count) {
    if (Date.now() > deadline) throw new Error(`not all of ${count} events came to ${pathname}`);
    await sleep(POLL_MS);
  }
  return JSON.parse(await told("taken")) as Taken[];
}

/** How long after its job's end each event came. */
export function delaysOf(taken: Taken[]): number[] {
  return taken.map(({ at, endedAt }) => at - endedAt);
}
