import type { BatchResult } from "./api-types.ts";
import { delayAfter, type Caller } from "./caller.ts";
import { noAnswer, refusal, unreadable } from "./client-error.ts";
import { Limit, pause } from "./limit.ts";
import { LineParser } from "./ndjson.ts";

export type ResultsOptions = {
  /** Whether to wait for each item in its turn, until the last has ended. Default: those that have ended so far. */
  follow?: boolean | undefined;
  /** The `index` after which to start. Default: the first item. */
  after?: number | undefined;
  signal?: AbortSignal | undefined;
};

/** How patient a reader is, in milliseconds. */
export type ResultsPace = {
  /**
   * From byte to byte, before a stream is taken for dead. It may just be that the item whose turn it is takes its time: so
   * it is opened again where it was, at once.
   */
  silenceMs: number;
  /** Between two tries, as long as the server has not said. */
  retryMs: number;
};

export const RESULTS_PACE: ResultsPace = { silenceMs: 60_000, retryMs: 1_000 };

const LONGEST_BACK_OFF_MS = 30_000;

/** A reader's way through the results of one batch: each once, in order, whatever becomes of the connections. */
export class ResultsReader {
  readonly #caller: Caller;
  readonly #path: string;
  readonly #options: ResultsOptions;
  readonly #pace: ResultsPace;
  /** `index` of the last result that was handed out. */
  #cursor: number;
  #isOver = false;
  #failures = 0;

  constructor(caller: Caller, path: string, options: ResultsOptions, pace = RESULTS_PACE) {
    this.#caller = caller;
    this.#path = path;
    this.#options = options;
    this.#pace = pace;
    this.#cursor = options.after ?? -1;
  }

  async *results(): AsyncGenerator<BatchResult, void> {
    const { signal } = this.#options;
    while (!this.#isOver) {
      const limit = new Limit(signal);
      try {
        for await (const result of this.#stream(limit)) if (this.#take(result)) yield result;
      } catch (error) {
        signal?.throwIfAborted();
        if (!limit.signal.aborted) await this.#recover(error);
      } finally {
        limit.end();
      }
    }
  }

  /** Whether this result is the next one. One that was seen before is not; one too far on is left to another try. */
  #take({ index }: BatchResult): boolean {
    this.#options.signal?.throwIfAborted();
    if (index <= this.#cursor) return false;
    const isNext = index === this.#cursor + 1;
    if (this.#options.follow && !isNext) throw unreadable(200);
    this.#cursor = index;
    this.#failures = 0;
    return true;
  }

  /** Resolves when it is time for another try; rejects with what no other try will mend. */
  async #recover(error: unknown): Promise<void> {
    const backOff = { base: this.#pace.retryMs, ceiling: LONGEST_BACK_OFF_MS };
    const delayMs = delayAfter(error, this.#failures, backOff);
    this.#failures += 1;
    await pause(delayMs, this.#options.signal);
  }

  /** The results by one connection, which are all of them if it ends well. */
  async *#stream(limit: Limit): AsyncGenerator<BatchResult, void> {
    const { body } = await this.#open(limit);
    const parser = new LineParser();
    const bytes = body.getReader();
    for (;;) {
      const { value } = await this.#heard(limit, bytes.read());
      if (value === undefined) break;
      for (const line of parser.push(value)) yield resultIn(line);
    }
    if (!parser.isWhole) throw noAnswer("The stream ended within a line");
    this.#isOver = true;
  }

  async #open(limit: Limit): Promise<{ body: ReadableStream<Uint8Array> }> {
    const ask = { path: this.#pathNow(), headers: { accept: "application/x-ndjson" } };
    const response = await this.#heard(limit, this.#caller.open(ask, limit.signal));
    const { ok, status, headers, body } = response;
    if (!ok) throw refusal(response, await this.#heard(limit, response.text()));
    const type = headers.get("content-type") ?? "";
    if (body === null || !type.startsWith("application/x-ndjson"))
      throw unreadable(status, headers);
    return { body };
  }

  #heard<T>(limit: Limit, word: Promise<T>): Promise<T> {
    const heard = limit.within(this.#pace.silenceMs, word);
    return heard.catch((error: unknown) => {
      throw noAnswer(error);
    });
  }

  #pathNow(): string {
    const query = new URLSearchParams({
      ...(this.#options.follow ? { follow: "true" } : {}),
      ...(this.#cursor < 0 ? {} : { after: String(this.#cursor) }),
    });
    return `${this.#path}?${query.toString()}`;
  }
}

function resultIn(line: string): BatchResult {
  try {
    const result = JSON.parse(line) as BatchResult | null;
    if (result !== null && Number.isSafeInteger(result.index)) return result;
  } catch {
    // Said below: to whoever asks it is the same fault.
  }
  throw unreadable(200);
}
