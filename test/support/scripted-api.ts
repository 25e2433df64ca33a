import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

import type { EventPage, JobEvent } from "../../lib/client.ts";

export type Asked = {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: IncomingHttpHeaders;
  body: string;
  /** Settles when the connection is closed, by whomever. */
  closed: Promise<unknown>;
};

/** What one request meets. */
export type Meeting = (response: ServerResponse, asked: Asked) => void | Promise<void>;

/** A server over true sockets that answers as it is told: each request meets the next, and the last one all the rest. */
export class ScriptedApi {
  readonly asked: Asked[] = [];
  readonly #server = createServer((request, response) => void this.#meet(request, response));
  #script: Meeting[] = [];

  static async start(): Promise<ScriptedApi> {
    const api = new ScriptedApi();
    await once(api.#server.listen(0, "127.0.0.1"), "listening");
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on, as if nothing had been before. */
  script(...meetings: Meeting[]): void {
    this.#script = meetings;
    this.asked.length = 0;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #meet(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const meet = this.#script.length > 1 ? this.#script.shift() : this.#script[0];
    const closed = once(response, "close");
    const { pathname, searchParams } = new URL(request.url ?? "", this.url);
    const asked = {
      method: request.method ?? "",
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers: request.headers,
      body: await text(request),
      closed,
    };
    this.asked.push(asked);
    await meet?.(response, asked);
  }
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Meeting {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(body === null ? "" : JSON.stringify(body));
  };
}

/** As the API refuses. */
export function problem(status: number, code: string, headers: Record<string, string> = {}) {
  const detail = `It is ${code}`;
  const errors = [{ pointer: "/prompt", detail }];
  return json({ status, code, detail, request_id: "req_1", errors }, status, {
    "content-type": "application/problem+json",
    ...headers,
  });
}

/** Takes the request, and the connection is lost before the answer. */
export const lost: Meeting = (response) => void response.socket?.resetAndDestroy();

/** What something answers that stands in between. */
export const html: Meeting = (response) => {
  response.writeHead(200, { "content-type": "text/html" }).end("<h1>Sign in to the train</h1>");
};

/** Keeps all to itself, as a proxy does that buffers, until the client leaves. */
export const held: Meeting = (_response, { closed }) => void closed;

const AT = "2026-11-01T12:00:00.000Z";

/** A log of a job whose text takes one to four bytes a character. */
export function logOf(deltas: number): JobEvent[] {
  const text = ["a", "é", "漢", "😀\n\r"];
  const result = { content: "", model: "m", finish_reason: "stop", tool_calls: [], usage: null };
  const facts = [
    { type: "queued", priority: "pro" },
    { type: "started", attempt: 1, model: "m", provider: "p" },
    ...Array.from({ length: deltas }, (_, at) => {
      return { type: "delta", attempt: 1, delta: text[at % text.length] ?? "" } as const;
    }),
    { type: "completed", result, completed_at: AT },
  ] as const;
  return facts.map((fact, at) => Object.assign({ job_id: "job", seq: at + 1, at: AT }, fact));
}

/** The bytes of an event stream, as the server writes them: first the greeting, then an event each. */
export function framesOf(log: JobEvent[], after: number): Buffer[] {
  const hello = { type: "connected", job_id: "job", status: "active", last_seq: log.length };
  return [
    Buffer.from(`retry: 1\ndata: ${JSON.stringify(hello)}\n\n`),
    ...log
      .slice(after)
      .map((event) => Buffer.from(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`)),
  ];
}

export function pageOf(log: JobEvent[], after: number, size = 3): EventPage {
  const events = log.slice(after, after + size);
  const has_more = after + size < log.length;
  return { job_id: "job", status: "completed", last_seq: log.length, has_more, events };
}

/** Serves a log as the API does, the stream `cut` off after so many bytes. */
export function serving(log: JobEvent[], cut = Infinity): Meeting {
  return async (response, asked) => {
    const after = Number(asked.query["after"] ?? 0);
    const wantsPage = asked.headers.accept === "application/json";
    if (wantsPage) return json(pageOf(log, after))(response, asked);
    if (after >= log.length) return void response.writeHead(204).end();
    const bytes = Buffer.concat(framesOf(log, after));
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" }).flushHeaders();
    if (cut >= bytes.length) return void response.end(bytes);
    await new Promise((written) => response.write(bytes.subarray(0, cut), written));
    response.socket?.destroySoon();
  };
}

export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const each of stream) seen.push(each);
  return seen;
}
