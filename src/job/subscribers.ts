import type { LogRun } from "../followed.ts";
import type { Frame } from "./job-rpc.ts";

/**
 * `sse`: every event, as a frame that can be copied into an event stream. `poll`: a word when something other than text
 * has come, for a request that waits for it.
 */
const FORMATS = ["sse", "poll"] as const;
type Format = (typeof FORMATS)[number];

/** How the JSON of an event begins that is nothing but text. */
const DELTA_START = '{"type":"delta"';

/** More sockets than this one object cannot serve. */
const MAX_SOCKETS = 10_000;

/**
 * The Workers that follow one log for their clients. Their sockets outlive the object's memory: it hibernates under them
 * and wakes to the next event. A socket is given the log from its cursor and all that follows in one synchronous turn,
 * so no event can fall between the two.
 */
export class Subscribers {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  /** Whether somebody sees text as it comes: only then is it worth what it costs to send it out sooner. */
  watching(): boolean {
    return this.#ctx.getWebSockets("sse").length > 0;
  }

  any(): boolean {
    return this.#ctx.getWebSockets().length > 0;
  }

  /**
   * Accepts a subscriber (`?after=` and `?format=`) and sends it what it has not seen. Closes if the log has ended, or
   * there is more than a run of it: who is so far behind reads pages.
   */
  add(request: Request, runAfter: (after: number) => LogRun): Response {
    if (this.#ctx.getWebSockets().length >= MAX_SOCKETS) return new Response(null, { status: 503 });
    const { searchParams } = new URL(request.url);
    const format: Format = searchParams.get("format") === "poll" ? "poll" : "sse";
    const { events, more, ended } = runAfter(Number(searchParams.get("after") ?? 0));
    const { 0: client, 1: server } = new WebSocketPair();
    this.#ctx.acceptWebSocket(server, [format]);
    for (const text of render(format, events)) server.send(text);
    if (more) close(server, 1000, "There is more");
    else if (ended) close(server, 1000, "The log has ended");
    return new Response(null, { status: 101, webSocket: client });
  }

  send(frames: Frame[]): void {
    for (const format of FORMATS) {
      const sockets = this.#ctx.getWebSockets(format);
      if (sockets.length === 0) continue;
      for (const text of render(format, frames)) {
        for (const socket of sockets) send(socket, text);
      }
    }
  }

  closeAll(): void {
    for (const socket of this.#ctx.getWebSockets()) close(socket, 1000, "The log has ended");
  }

  /** Answers a subscriber's close, so that it need not wait for a timeout. */
  left(socket: WebSocket): void {
    close(socket, 1000, "");
  }
}

/** An end whose text is apart is sent to nobody: the socket closes with it, and its subscriber reads the log. */
function render(format: Format, frames: Frame[]): string[] {
  if (format === "sse") {
    const whole = frames.filter(({ text }) => text === undefined);
    return whole.map(({ seq, json }) => `id: ${seq}\ndata: ${json}\n\n`);
  }
  return frames.some(({ json }) => !json.startsWith(DELTA_START)) ? ["changed"] : [];
}

/** A socket that has gone cannot be sent to; its subscriber comes back with its cursor. */
function send(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch {
    close(socket, 1011, "Could not send");
  }
}

function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // Closed already.
  }
}
