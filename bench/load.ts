import { Agent, request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

import { percentile } from "./figures.ts";

export type Ask = { path: string; method?: string; body?: string; accept?: string };

/** How many connections at most, and whose key every request has. */
type Manner = { most?: number; key?: string };

/** Connections to one server, kept open. An answer with another status than expected ends the benchmark. */
export class Connections {
  readonly #origin: string;
  readonly #agent: Agent;
  readonly #key: Record<string, string>;

  constructor(origin: string, { most = Infinity, key }: Manner = {}) {
    this.#origin = origin;
    this.#agent = new Agent({ keepAlive: true, maxSockets: most });
    this.#key = key === undefined ? {} : { authorization: `Bearer ${key}` };
  }

  /** The answer once its headers are here. */
  open(
    { path, method = "GET", body = "", accept = "*/*" }: Ask,
    expected: number,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers =
        method !== "GET"
          ? { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
          : { accept };
      const options = { agent: this.#agent, method, headers: { ...headers, ...this.#key } };
      const call = request(`${this.#origin}${path}`, options, (response) => {
        if (response.statusCode === expected) return resolve(response);
        const got = `${method} ${path}: ${response.statusCode}, expected ${expected}`;
        text(response).then((answer) => reject(new Error(`${got}: ${answer}`)), reject);
      });
      call.on("error", reject).end(body);
    });
  }

  async ask(ask: Ask, expected: number): Promise<string> {
    return text(await this.open(ask, expected));
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

export type Load = { p50: number; p99: number; perSecond: number };

/** Sends `requests` requests, always one on each connection: the next when the answer is read to its end. */
export async function load(
  origin: string,
  plan: { connections: number; requests: number; expected: number; ask: (at: number) => Ask },
): Promise<Load> {
  using connections = new Connections(origin, { most: plan.connections });
  const latencies: number[] = [];
  const startedAt = performance.now();
  await inParallel(plan.connections, plan.requests, async (at) => {
    const askedAt = performance.now();
    await connections.ask(plan.ask(at), plan.expected);
    latencies.push(performance.now() - askedAt);
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    perSecond: plan.requests / seconds,
  };
}

/** Does `task` for 0, 1, … `count - 1`, `width` of them at any time. */
export async function inParallel(
  width: number,
  count: number,
  task: (at: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
