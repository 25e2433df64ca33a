import { AfterwordError, mayPass, noAnswer, refusal, unreadable } from "./client-error.ts";
import { backOffMs, Limit, pause } from "./limit.ts";

export type Ask = {
  method?: "GET" | "POST" | "DELETE";
  /** From the base URL on, with its query. */
  path: string;
  headers?: Record<string, string>;
  /** JSON. */
  body?: string;
  signal?: AbortSignal | undefined;
  /** How long the server was asked to hold its answer, in seconds; and what it may take besides, in milliseconds. */
  heldSeconds?: number;
  patienceMs?: number;
  /** How long after the first try another does no harm, in milliseconds. Default: it never does any. */
  repeatableMs?: number;
};

/** `body` is as the contract says, which is not checked; null where there is none. */
export type Answer<Body> = { status: number; headers: Headers; body: Body };

type Fetch = typeof globalThis.fetch;

/** An answer that has not come by then never will: a network may swallow a request without a word. */
export const PATIENCE_MS = 15_000;
const RETRIES = 4;
const BACK_OFF_MS = { base: 500, ceiling: 8_000 };
/** What a caller may be kept waiting for between two tries. Whoever is told to wait longer is told so. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** Asks one server, with one key or none. */
export class Caller {
  readonly hasKey: boolean;
  readonly #baseUrl: string;
  readonly #authorization: Record<string, string>;
  readonly #fetch: Fetch;

  constructor(baseUrl: string, apiKey: string | undefined, fetch: Fetch | undefined) {
    this.hasKey = apiKey !== undefined;
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#authorization = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
    // Called as a method, a platform's own fetch would refuse its `this`.
    this.#fetch = (...request) => (fetch ?? globalThis.fetch)(...request);
  }

  /** The answer as it begins, whatever it is. */
  open({ method = "GET", path, headers, body }: Ask, signal: AbortSignal): Promise<Response> {
    return this.#fetch(`${this.#baseUrl}${path}`, {
      method,
      headers: { ...headers, ...this.#authorization },
      signal,
      ...(body === undefined ? {} : { body }),
    });
  }

  /** One try. Rejects with an AfterwordError, or with what the caller aborted it for. */
  async once<Body>(ask: Ask): Promise<Answer<Body>> {
    const limit = new Limit(ask.signal);
    try {
      const { heldSeconds = 0, patienceMs = PATIENCE_MS } = ask;
      const limitMs = heldSeconds * 1_000 + patienceMs;
      return await limit.within(limitMs, this.#answer<Body>(ask, limit.signal));
    } catch (error) {
      ask.signal?.throwIfAborted();
      throw error instanceof AfterwordError ? error : noAnswer(error);
    } finally {
      limit.end();
    }
  }

  /** Some tries, as long as another may help. For what does no harm when it arrives twice, in time. */
  async insist<Body>(ask: Ask): Promise<Answer<Body>> {
    const until = Date.now() + (ask.repeatableMs ?? Infinity);
    for (let failures = 0; ; failures++) {
      try {
        return await this.once<Body>(ask);
      } catch (error) {
        const goesOn = failures < RETRIES && retryAfterOf(error) <= LONGEST_RETRY_AFTER_MS;
        if (!goesOn) throw error;
        const delayMs = delayAfter(error, failures);
        if (Date.now() + delayMs > until) throw error;
        await pause(delayMs, ask.signal);
      }
    }
  }

  async #answer<Body>(ask: Ask, signal: AbortSignal): Promise<Answer<Body>> {
    const response = await this.open(ask, signal);
    const text = await response.text();
    const { status, headers } = response;
    if (!response.ok && status !== 304) throw refusal(response, text);
    try {
      return { status, headers, body: JSON.parse(text === "" ? "null" : text) as Body };
    } catch {
      throw unreadable(status, headers);
    }
  }
}

/**
 * How long to wait after this failure, in milliseconds: as long as the server says, and a little more so that not all
 * come back at once, or ever longer. Throws the failure where waiting does not help.
 */
export function delayAfter(
  error: unknown,
  failures: number,
  { base, ceiling } = BACK_OFF_MS,
): number {
  if (!(error instanceof AfterwordError && mayPass(error))) throw error;
  const { retryAfterMs } = error;
  if (retryAfterMs !== null) return retryAfterMs * (1 + Math.random() / 4);
  return backOffMs(base, failures, ceiling);
}

function retryAfterOf(error: unknown): number {
  return error instanceof AfterwordError ? (error.retryAfterMs ?? 0) : 0;
}
