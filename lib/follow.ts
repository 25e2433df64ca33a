import type { EventPage, JobEvent, JobStatus } from "./api-types.ts";
import { delayAfter, PATIENCE_MS, type Caller } from "./caller.ts";
import { AfterwordError, noAnswer, refusal, retryAfterMs, unreadable } from "./client-error.ts";
import { Limit, pause } from "./limit.ts";
import { SseParser, type SseItem } from "./sse.ts";

export type FollowOptions = {
  /** The `seq` after which to start. Default 0: the beginning. */
  after?: number | undefined;
  signal?: AbortSignal | undefined;
  /**
   * A subscribe token, in the place of an API key; or what gets one from your backend, which is asked whenever there is
   * none or it has expired.
   */
  token?: string | (() => Promise<string>) | undefined;
  /** Told when events begin to come, and when they are cut off and tried for again. */
  onConnection?: ((isConnected: boolean) => void) | undefined;
};

/** How patient a follower is, in milliseconds but for `heldSeconds`. */
export type Pace = {
  /** For the first byte of a stream, which the server sends at once: later, something in between holds it back. */
  firstByteMs: number;
  /** From byte to byte: two of the server's heartbeats. */
  silenceMs: number;
  /** How long the server may hold a page that would be empty: less than what proxies put up with. */
  heldSeconds: number;
  /** What a page may take besides. */
  pageMs: number;
  /** Between two tries, as long as the server has not said. */
  retryMs: number;
};

export const PACE: Pace = {
  firstByteMs: 6_000,
  silenceMs: 30_000,
  heldSeconds: 25,
  pageMs: PATIENCE_MS,
  retryMs: 1_000,
};

const LONGEST_BACK_OFF_MS = 30_000;

/** Whether this status, or the type of this event, is a job's last. */
export function isTerminal(
  status: JobStatus | JobEvent["type"],
): status is "completed" | "failed" | "cancelled" {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** A reader's way through the log of one job: each event once, in order, whatever becomes of the connections. */
export class Follower {
  readonly #caller: Caller;
  readonly #path: string;
  readonly #options: FollowOptions;
  readonly #pace: Pace;
  /** `seq` of the last event that was handed out. */
  #cursor: number;
  #isOver = false;
  /** Streams do not get through here, so the log is asked for in pages. */
  #byPages = false;
  #isConnected: boolean | null = null;
  #failures = 0;
  #retryMs: number;
  #token: string | null;
  /** Whether the token was just got and nothing is known of it: another would be no better. */
  #isTokenNew = false;

  /** `options.token` as a text goes before `token`, which goes before asking for one. */
  constructor(
    caller: Caller,
    jobId: string,
    options: FollowOptions,
    token: string | null = null,
    pace = PACE,
  ) {
    this.#caller = caller;
    this.#path = `/api/jobs/${encodeURIComponent(jobId)}/events`;
    this.#options = options;
    this.#pace = pace;
    this.#token = typeof options.token === "string" ? options.token : token;
    this.#cursor = options.after ?? 0;
    this.#retryMs = pace.retryMs;
  }

  async *events(): AsyncGenerator<JobEvent, void> {
    while (!this.#isOver) {
      try {
        const token = await this.#currentToken();
        for await (const event of this.#byPages ? this.#pages(token) : this.#stream(token)) {
          if (this.#take(event)) yield event;
          if (this.#isOver) return;
        }
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /** Whether this event is the next one. One that was seen before is not; one too far on is left to another try. */
  #take(event: JobEvent): boolean {
    this.#options.signal?.throwIfAborted();
    if (event.seq <= this.#cursor) return false;
    if (event.seq !== this.#cursor + 1) throw unreadable(200);
    this.#cursor = event.seq;
    this.#failures = 0;
    this.#isOver = isTerminal(event.type);
    return true;
  }

  /** Resolves when it is time for another try; rejects with what no other try will mend. */
  async #recover(error: unknown): Promise<void> {
    const { signal, token } = this.#options;
    signal?.throwIfAborted();
    const isRefused = error instanceof AfterwordError && error.status === 401;
    if (isRefused && typeof token === "function" && !this.#isTokenNew) {
      this.#token = null;
      return;
    }
    const backOff = { base: this.#retryMs, ceiling: LONGEST_BACK_OFF_MS };
    const delayMs = delayAfter(error, this.#failures, backOff);
    this.#failures += 1;
    this.#connected(false);
    // Where nothing gets through, nothing is known of streams either.
    if (error instanceof AfterwordError && error.status === null) this.#byPages = false;
    await pause(delayMs, signal);
  }

  /** The log as it is streamed, by one connection. Ends early where streams do not get through. */
  async *#stream(token: string | null): AsyncGenerator<JobEvent, void> {
    const limit = new Limit(this.#options.signal);
    try {
      const stream = await this.#open(token, limit);
      if (stream === null) return;
      const parser = new SseParser();
      for (let { value } = stream.first; value !== undefined;) {
        for (const item of parser.push(value)) {
          const event = this.#eventIn(item);
          if (event !== null) yield event;
        }
        ({ value } = await limit.within(this.#pace.silenceMs, stream.rest.read()));
      }
      throw noAnswer("The stream ended before the job");
    } catch (error) {
      throw error instanceof AfterwordError ? error : noAnswer(error);
    } finally {
      limit.end();
    }
  }

  /** A stream that gets through, or null. */
  async #open(token: string | null, limit: Limit): Promise<OpenStream | null> {
    const ask = { path: this.#pathOf({}, token), headers: { accept: "text/event-stream" } };
    const { signal } = limit;
    try {
      const begun = this.#caller.open(ask, signal).then((response) => this.#begin(response));
      return await limit.within(this.#pace.firstByteMs, begun);
    } catch (error) {
      if (!signal.aborted || this.#options.signal?.aborted) throw error;
      this.#byPages = true;
      return null;
    }
  }

  async #begin(response: Response): Promise<OpenStream | null> {
    if (response.status === 204) {
      this.#endBeyondTheEnd(response);
      return null;
    }
    if (!response.ok) throw refusal(response, await response.text());
    const type = response.headers.get("content-type") ?? "";
    if (response.body === null || !type.startsWith("text/event-stream")) {
      this.#byPages = true;
      return null;
    }
    const rest = response.body.getReader();
    const first = await rest.read();
    if (!first.done) this.#connected(true);
    return { first, rest };
  }

  /** Told that nothing more will come. Who has read the log to its end knows that; only who began there needs to be told. */
  #endBeyondTheEnd({ status, headers }: Pick<Response, "status" | "headers">): void {
    const hasRead = this.#cursor > (this.#options.after ?? 0);
    if (hasRead || this.#cursor === 0) throw unreadable(status, headers);
    this.#isOver = true;
  }

  /** Null: what it says is not of the log. */
  #eventIn(item: SseItem): JobEvent | null {
    if (item.type === "retry") {
      // Nothing doubles to nothing.
      this.#retryMs = Math.max(1, item.ms);
      return null;
    }
    const event = jsonIn(item.data) as Partial<JobEvent> | null;
    return Number.isSafeInteger(event?.seq) ? (event as JobEvent) : null;
  }

  /** The log page by page, as long as that works. */
  async *#pages(token: string | null): AsyncGenerator<JobEvent, void> {
    const { signal } = this.#options;
    const { heldSeconds, pageMs: patienceMs } = this.#pace;
    for (;;) {
      const askedAt = Date.now();
      const path = this.#pathOf({ wait: String(heldSeconds) }, token);
      const headers = { accept: "application/json" };
      const answer = await this.#caller.once<EventPage | null>({
        path,
        headers,
        heldSeconds,
        patienceMs,
        signal,
      });
      const page = answer.body;
      if (!Array.isArray(page?.events)) throw unreadable(answer.status, answer.headers);
      this.#connected(true);
      yield* page.events;
      if (page.has_more && page.events.length > 0) continue;
      if (isTerminal(page.status)) return this.#endBeyondTheEnd(answer);
      const leastMs = retryAfterMs(answer.headers) ?? this.#pace.retryMs;
      await pause(askedAt + leastMs - Date.now(), signal);
    }
  }

  #pathOf(query: Record<string, string>, token: string | null): string {
    const given = { after: String(this.#cursor), ...query, ...(token === null ? {} : { token }) };
    return `${this.#path}?${new URLSearchParams(given).toString()}`;
  }

  async #currentToken(): Promise<string | null> {
    const { token } = this.#options;
    if (this.#token === null && typeof token === "function") {
      // The backend that gives them out may be as far away as we are.
      this.#token = await Promise.resolve(token()).catch((error: unknown) => {
        throw noAnswer(error);
      });
      this.#isTokenNew = true;
    }
    return this.#token;
  }

  #connected(isConnected: boolean): void {
    if (isConnected) this.#isTokenNew = false;
    if (this.#isConnected === isConnected) return;
    this.#isConnected = isConnected;
    this.#options.onConnection?.(isConnected);
  }
}

type Read = ReadableStreamReadResult<Uint8Array>;
type OpenStream = { first: Read; rest: { read: () => Promise<Read> } };

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable(200);
  }
}
