import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer, json } from "node:stream/consumers";

import { behaviourOf, cuts, perform, type Behaviour, type Step } from "./receiver-behaviour.ts";

export * from "./receiver-behaviour.ts";

/** A request that was taken, in the order in which they were taken whole. */
export type Received = {
  method: string;
  /** With its query. */
  path: string;
  /** Names in lower case. A plain object, since some verifiers read no other. */
  headers: Record<string, string>;
  /** The exact bytes. */
  body: Buffer;
  text: string;
  /** When its last byte had come, in milliseconds. */
  at: number;
  /** Whether its client went away before it had the whole answer. */
  leftEarly: boolean;
};

/** `timeoutMs`: how long is waited before it is a mistake. */
type Awaited = { path?: string; timeoutMs?: number };

/** Below it the receiver itself is asked and told, over HTTP. */
const CONTROL = "/-/";

/**
 * A receiver of webhooks, obedient or hostile, on 127.0.0.1: a real server, which keeps what it was sent.
 *
 * Each path has its plan, of which every request uses up a step; the last one is for all that follow. Without a plan
 * a request is answered with 200. `PUT /-/plan?path=/hook` with a list of steps and `GET /-/received` do for another
 * process what `plan` and `all` do here.
 */
export class Receiver implements AsyncDisposable {
  /** Everything taken so far. */
  readonly all: Received[] = [];
  /** Requests under way now, and the most there were at a time. */
  active = 0;
  peak = 0;
  /** Requests whose connection was cut before they were taken. */
  refused = 0;
  readonly #plans = new Map<string, Step[]>();
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #server = createServer((request, response) => void this.#route(request, response));

  static async start({ port = 0 } = {}): Promise<Receiver> {
    const receiver = new Receiver();
    // An idle connection that we close just as the client reuses it is a fault nobody asked for.
    receiver.#server.keepAliveTimeout = 0;
    await once(receiver.#server.listen(port, "127.0.0.1"), "listening");
    return receiver;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  url(path: string): string {
    return `${this.origin}${path}`;
  }

  /** What requests to a path meet from now on, one after another; the last step for ever. None: 200. */
  plan(path: string, ...steps: Step[]): void {
    this.#plans.set(path, steps);
  }

  at(path: string): Received[] {
    return this.all.filter((received) => received.path === path);
  }

  /** The first `count` requests (to the path), as soon as there are so many. */
  async received(count: number, { path, timeoutMs }: Awaited = {}): Promise<Received[]> {
    const there = (): Received[] => (path === undefined ? this.all : this.at(path));
    await this.until(() => there().length >= count, `${count} requests to ${path}`, timeoutMs);
    return there().slice(0, count);
  }

  /** Waits for what changes only as requests come and go. */
  async until(holds: () => boolean, wanted: string, timeoutMs = 10_000): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (!holds()) {
      await once(this.#changes, "change", { signal }).catch(() => {
        const paths = this.all
          .slice(0, 20)
          .map(({ path }) => path)
          .join();
        throw new Error(`not in ${timeoutMs} ms: ${wanted}; came: ${this.all.length} ${paths}`);
      });
    }
  }

  async close(): Promise<void> {
    this.#server.close().closeAllConnections();
    await once(this.#server, "close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url: path = "/" } = request;
    if (path.startsWith(CONTROL)) return this.#control(request, response);
    const behaviour = this.#nextFor(path);
    if (behaviour.kind === "reset_before_reading") {
      this.refused += 1;
      request.socket.resetAndDestroy();
      this.#changes.emit("change");
      return;
    }
    const gone = this.#follow(response);
    // Whoever leaves in the middle of a request has sent none, and whoever leaves later gets no answer.
    const received = await taken(request).catch(() => null);
    if (received === null) return;
    this.all.push(received);
    response.once("close", () => {
      received.leftEarly = !response.writableFinished && !cuts(behaviour);
      this.#changes.emit("change");
    });
    this.#changes.emit("change");
    await perform(behaviour, response, gone).catch((error: unknown) => {
      if (!gone.aborted) throw error;
    });
  }

  #nextFor(path: string): Behaviour {
    const steps = this.#plans.get(path) ?? [];
    return behaviourOf((steps.length > 1 ? steps.shift() : steps[0]) ?? 200);
  }

  /** Counts a request while it is under way. The signal aborts when its connection closes. */
  #follow(response: ServerResponse): AbortSignal {
    const gone = new AbortController();
    this.active += 1;
    this.peak = Math.max(this.peak, this.active);
    response.once("close", () => {
      this.active -= 1;
      gone.abort();
      this.#changes.emit("change");
    });
    return gone.signal;
  }

  async #control(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.origin);
    switch (`${request.method} ${pathname}`) {
      case `PUT ${CONTROL}plan`:
        this.plan(searchParams.get("path") ?? "/", ...((await json(request)) as Step[]));
        response.writeHead(204).end();
        return;
      case `GET ${CONTROL}received`: {
        // The body goes as its text.
        const told = this.all.map((received) => ({ ...received, body: undefined }));
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(told));
        return;
      }
      default:
        response.writeHead(404).end();
    }
  }
}

async function taken(request: IncomingMessage): Promise<Received> {
  const { method = "", url: path = "", headers } = request;
  const body = await buffer(request);
  return {
    method,
    path,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, String(value)]),
    ),
    body,
    text: body.toString("utf8"),
    at: Date.now(),
    leftEarly: false,
  };
}
