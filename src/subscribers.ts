import type { Frame } from "./job-rpc.ts";

/** `ws`: the public WebSocket frames. `sse`: frames ready to be copied into an event stream by the Worker. */
type Format = "ws" | "sse";

const MAX_FRAME_BYTES = 65_536;
const MAX_MESSAGES = 30;
const MESSAGE_WINDOW_MS = 10_000;
const TYPE_START = '{"type":"';

/**
 * The sockets that follow one job. They outlive the object's memory: it hibernates under them and wakes to
 * the next event. A socket is given the log from its cursor and all that follows in one synchronous turn,
 * so no event can fall between the two.
 */
export class Subscribers {
  readonly #ctx: DurableObjectState;
  /** When each socket spoke lately. Lost in hibernation, which takes as long as the window is wide. */
  readonly #heardAt = new WeakMap<WebSocket, number[]>();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  any(): boolean {
    return this.#ctx.getWebSockets().length > 0;
  }

  /** Accepts a subscriber (`?after=` and `?format=`), sends it what it has not seen, and closes if the job has `ended`. */
  add(request: Request, framesAfter: (after: number) => Frame[], ended: boolean): Response {
    const { searchParams } = new URL(request.url);
    const format: Format = searchParams.get("format") === "sse" ? "sse" : "ws";
    const frames = framesAfter(Number(searchParams.get("after") ?? 0));
    const { 0: client, 1: server } = new WebSocketPair();
    this.#ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    this.#ctx.acceptWebSocket(server, [format]);
    for (const frame of frames) server.send(render(format, frame));
    if (ended) close(server, 1000, "The job has ended");
    return new Response(null, { status: 101, webSocket: client });
  }

  send(frames: Frame[]): void {
    for (const format of ["ws", "sse"] as const) {
      const sockets = this.#ctx.getWebSockets(format);
      if (sockets.length === 0) continue;
      for (const text of frames.map((frame) => render(format, frame))) {
        for (const socket of sockets) send(socket, text);
      }
    }
  }

  closeAll(): void {
    for (const socket of this.#ctx.getWebSockets()) close(socket, 1000, "The job has ended");
  }

  /** Answers a subscriber's close, so that it need not wait for a timeout. */
  left(socket: WebSocket): void {
    close(socket, 1000, "");
  }

  /** A subscriber of one job has nothing to say but `ping`, which never gets here. */
  heard(socket: WebSocket, message: string | ArrayBuffer): void {
    if (sizeOf(message) > MAX_FRAME_BYTES) return close(socket, 1009, "Message too big");
    const since = Date.now() - MESSAGE_WINDOW_MS;
    const lately = [...(this.#heardAt.get(socket) ?? []).filter((at) => at > since), Date.now()];
    this.#heardAt.set(socket, lately);
    if (lately.length > MAX_MESSAGES) return close(socket, 1008, "Too many messages");
    send(socket, JSON.stringify({ type: "error", message: "Invalid message format" }));
  }
}

function render(format: Format, { seq, json }: Frame): string {
  if (format === "sse") return `id: ${seq}\ndata: ${json}\n\n`;
  return `${TYPE_START}job_${json.slice(TYPE_START.length)}`;
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

function sizeOf(message: string | ArrayBuffer): number {
  return typeof message === "string"
    ? new TextEncoder().encode(message).byteLength
    : message.byteLength;
}
