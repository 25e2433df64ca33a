import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChatCompletionCreateParams } from "openai/resources";

import {
  errorBody,
  framesFor,
  promptBehaviour,
  promptOf,
  withoutBody,
  type Behaviour,
  type Call,
  type Pace,
  type Streamed,
} from "./provider-behaviour.ts";

export { promptBehaviour, type Behaviour, type Call };

/** A call under way. `gone` aborts when its connection closes; `dropped`: it was us who closed it. */
type Exchange = { call: Call; res: ServerResponse; gone: AbortSignal; dropped: boolean };

async function stream(exchange: Exchange, behaviour: Streamed & Pace): Promise<void> {
  const { call, res, gone } = exchange;
  // Torn pieces sent at once would arrive as one.
  const { everyMs = behaviour.kind === "split" ? 1 : 0, firstAfterMs = 0 } = behaviour;
  const headers = behaviour.kind === "answer" ? behaviour.headers : {};
  res.writeHead(200, { "content-type": "text/event-stream", ...headers }).flushHeaders();
  let pauseMs = firstAfterMs;
  for (const bytes of framesFor(call, behaviour)) {
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: gone });
    // Awaited, so that a slow reader holds us up and a reset does not overtake what it follows.
    await new Promise((sent) => res.write(bytes, sent));
    gone.throwIfAborted();
    pauseMs = everyMs;
  }
  if (behaviour.kind === "silent") return;
  exchange.dropped = behaviour.kind === "cut";
  // With the end in one piece: a client that leaves at [DONE] has not left early.
  if (behaviour.kind !== "cut") res.end(behaviour.kind === "split" ? "" : "data: [DONE]\n\n");
  else if (behaviour.how === "fin") res.socket?.destroySoon();
  else res.socket?.resetAndDestroy();
}

function send(res: ServerResponse, status: number, body: unknown, headers: object = {}): void {
  res.writeHead(status, { "content-type": "application/json", ...headers });
  res.end(JSON.stringify(body));
}

async function respond(exchange: Exchange, behaviour: Behaviour): Promise<void> {
  if (behaviour.kind === "hang") return;
  if (behaviour.kind !== "status") return stream(exchange, behaviour);
  const { status, retryAfter, headers, body = errorBody("as the test wants it") } = behaviour;
  const told = retryAfter === undefined ? headers : { ...headers, "retry-after": retryAfter };
  send(exchange.res, status, body, told);
}

export class ProviderServer {
  readonly calls: Call[] = [];
  behave = promptBehaviour;
  peak = 0;
  readonly #open = new Set<Exchange>();
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #server = createServer((req, res) => void this.#route(req, res));

  async listen(port: number): Promise<void> {
    // An idle connection that we close just as the client reuses it is a fault nobody asked for.
    this.#server.keepAliveTimeout = 0;
    await once(this.#server.listen(port, "127.0.0.1"), "listening");
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  get active(): number {
    return this.#open.size;
  }

  callsFor(prompt: string): Call[] {
    return this.calls.filter((call) => call.prompt === prompt);
  }

  /** The first call for which the predicate holds, now or when a call next begins or ends. */
  async waitForCall(predicate: (call: Call) => boolean, timeoutMs = 5_000): Promise<Call> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const found = this.calls.find((call) => predicate(call));
      if (found) return found;
      await once(this.#changes, "change", { signal }).catch(() => {
        throw new Error(`no such call in ${timeoutMs} ms, of ${this.calls.length}`);
      });
    }
  }

  async close(): Promise<void> {
    for (const exchange of this.#open) exchange.dropped = true;
    this.#server.close().closeAllConnections();
    await once(this.#server, "close");
  }

  async #route(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const route = `${req.method} ${req.url}`;
    if (route === "GET /calls") return send(res, 200, this.calls.map(withoutBody));
    if (route !== "POST /v1/chat/completions") return send(res, 404, errorBody(route));
    const body = (await json(req).catch(() => null)) as ChatCompletionCreateParams | null;
    // A client that left while it was still asking has made no call.
    if (res.destroyed) return;
    if (!body?.stream || !body.messages) return send(res, 400, errorBody("not a streaming chat"));
    const exchange = this.#begin(body, req.headers, res);
    try {
      await respond(exchange, this.behave(exchange.call));
    } catch (error) {
      // Not a 5xx: a mistake in the test should fail the job, not be tried again.
      if (!exchange.gone.aborted) send(res, 400, errorBody(String(error)));
    }
  }

  #begin(body: ChatCompletionCreateParams, headers: IncomingHttpHeaders, res: ServerResponse) {
    const prompt = promptOf(body);
    const counted = { id: this.calls.length + 1, n: this.callsFor(prompt).length };
    const asked = { prompt, model: body.model, body, headers, startedAt: Date.now() };
    const call: Call = { ...counted, ...asked, closedEarlyAt: null, finished: false };
    const gone = new AbortController();
    const exchange: Exchange = { call, res, gone: gone.signal, dropped: false };
    this.calls.push(call);
    this.#open.add(exchange);
    this.peak = Math.max(this.peak, this.active);
    this.#changes.emit("change");
    res.once("close", () => {
      gone.abort();
      this.#open.delete(exchange);
      call.finished = res.writableFinished;
      if (!call.finished && !exchange.dropped) call.closedEarlyAt = Date.now();
      this.#changes.emit("change");
    });
    return exchange;
  }
}

export async function startProvider({ behave = promptBehaviour, port = 0 } = {}) {
  const provider = new ProviderServer();
  provider.behave = behave;
  await provider.listen(port);
  return provider;
}
