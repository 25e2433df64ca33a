import { setTimeout as sleep } from "node:timers/promises";

import type { JobEvent } from "../src/schema/event.ts";
import type { JobView } from "../src/schema/job.ts";

/** An answer, read to its end. */
export type Answer = { status: number; body: unknown };

/** Longer than any answer takes of a product that lives. */
const ANSWER_WITHIN_MS = 20_000;

/** How long somebody who insists waits before asking again. */
const AGAIN_MS = 200;

/** Much longer than the product is ever dead. */
const PATIENCE_MS = 180_000;

/** A product that may die at any moment: a request, an answer, or half of one may be lost. */
export class Client {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Rejects with `Lost` where no whole answer came. */
  async ask(path: string, init: RequestInit = {}): Promise<Answer> {
    try {
      const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
      const response = await fetch(`${this.#url}${path}`, { ...init, signal });
      const text = await response.text();
      return { status: response.status, body: text === "" ? null : (JSON.parse(text) as unknown) };
    } catch (error) {
      throw new Lost(error);
    }
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const json = { "content-type": "application/json", ...headers };
    return this.ask(path, { method: "POST", body: JSON.stringify(body), headers: json });
  }

  /** Submits a job once. */
  submit(job: object, key: string | null): Promise<Answer> {
    return this.post("/api/jobs", job, key === null ? {} : { "idempotency-key": key });
  }

  /** The job; null if it is not to be had. */
  async read(id: string): Promise<JobView | null> {
    const { status, body } = await insist(() => this.ask(`/api/jobs/${id}`));
    return status === 200 ? (body as JobView) : null;
  }

  /** The events after `after`, as they come, until the server ends the stream or it is lost; then `Lost` is thrown. */
  async *follow(id: string, after: number): AsyncGenerator<JobEvent, void> {
    try {
      const response = await fetch(`${this.#url}/api/jobs/${id}/events?after=${after}`);
      if (response.status === 204 || response.body === null) return;
      if (response.status !== 200) throw new Error(`HTTP ${response.status}`);
      let rest = "";
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const frames = `${rest}${chunk}`.split("\n\n");
        rest = frames.pop() ?? "";
        for (const frame of frames) {
          const data = /^id: \d+\ndata: (.*)$/m.exec(frame)?.[1];
          if (data !== undefined) yield JSON.parse(data) as JobEvent;
        }
      }
    } catch (error) {
      throw new Lost(error);
    }
  }

  /** The whole log after `after`, however often its stream is lost. */
  async log(id: string, after = 0): Promise<JobEvent[]> {
    const events: JobEvent[] = [];
    await insist(async () => {
      for await (const event of this.follow(id, after + events.length)) events.push(event);
      return { status: 200, body: null };
    });
    return events;
  }
}

/** No answer came, or not all of it. Whether what was asked has happened is not known. */
export class Lost extends Error {
  override name = "Lost";

  constructor(cause: unknown) {
    super("no answer", { cause });
  }
}

/** Asks until there is an answer that is not "try again". Throws where none comes for minutes. */
export async function insist(ask: () => Promise<Answer>): Promise<Answer> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      const answer = await ask();
      if (answer.status !== 503 || Date.now() > until) return answer;
    } catch (error) {
      if (!(error instanceof Lost) || Date.now() > until) throw error;
    }
    await sleep(AGAIN_MS);
  }
}
