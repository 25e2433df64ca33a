import { delayAfter, type Ask, type Caller } from "./caller.ts";
import { retryAfterMs } from "./client-error.ts";
import { Limit, pause } from "./limit.ts";

export type WaitOptions = {
  signal?: AbortSignal | undefined;
  /** Rejects with a TimeoutError then. Default: waits as long as it takes. */
  timeoutMs?: number | undefined;
};

/** Between two looks, as long as the server has not said; and between two tries, at most. */
const WAIT_MS = { base: 1_000, ceiling: 30_000 };

/**
 * What this asks for once it has ended. Asks no more often than the server wants, and only for what is new where the
 * server says which version it told. Goes on through whatever may pass.
 */
export async function ended<Body, Ended extends Body>(
  caller: Caller,
  ask: Ask,
  hasEnded: (body: Body) => body is Ended,
  { signal, timeoutMs }: WaitOptions,
): Promise<Ended> {
  if (timeoutMs === undefined) return look(caller, { ...ask, signal }, hasEnded);
  const limit = new Limit(signal);
  try {
    const looking = look(caller, { ...ask, signal: limit.signal }, hasEnded);
    return await limit.within(timeoutMs, looking);
  } finally {
    limit.end();
  }
}

async function look<Body, Ended extends Body>(
  caller: Caller,
  ask: Ask,
  hasEnded: (body: Body) => body is Ended,
): Promise<Ended> {
  let headers: Record<string, string> = {};
  for (let failures = 0; ;) {
    const askedAt = Date.now();
    try {
      const answer = await caller.once<Body | null>({ ...ask, headers });
      if (answer.body !== null && hasEnded(answer.body)) return answer.body;
      failures = 0;
      const etag = answer.headers.get("etag");
      headers = etag === null ? {} : { "if-none-match": etag };
      // The time the answer was held for counts as waited.
      const leastMs = retryAfterMs(answer.headers) ?? WAIT_MS.base;
      await pause(askedAt + leastMs - Date.now(), ask.signal);
    } catch (error) {
      ask.signal?.throwIfAborted();
      await pause(delayAfter(error, failures, WAIT_MS), ask.signal);
      failures += 1;
    }
  }
}
