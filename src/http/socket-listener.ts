import { hasRoom } from "./socket-room.ts";

const MAX_FRAME_BYTES = 65_536;
const MAX_MESSAGES = 30;
const MESSAGE_WINDOW_MS = 10_000;

/** Answers that may wait behind what a client has not read. Pings have no other bound, and pongs would pile up. */
const MAX_UNREAD = 30;

type ListenerPorts = {
  /** Carries out what was said; false where it makes no sense. */
  obey: (text: string) => boolean;
  /** Nothing more is to be done for the client. */
  over: () => void;
};

/** Hears what a client says on its socket, within bounds: `ping` is answered, the rest is handed on. */
export class Listener {
  readonly #socket: WebSocket;
  readonly #ports: ListenerPorts;
  #isClosed = false;
  /** When it spoke lately: one time more than it may. */
  #heardAt: number[] = [];
  /** Answers in a row that it had no room for. */
  #unread = 0;

  constructor(socket: WebSocket, ports: ListenerPorts) {
    this.#socket = socket;
    this.#ports = ports;
  }

  listen(): void {
    this.#socket.addEventListener("message", ({ data }) => this.#hear(data));
    // Answered, so that the client need not wait for a timeout.
    this.#socket.addEventListener("close", () => this.#close(1000, ""));
  }

  #hear(data: string | ArrayBuffer): void {
    // Who was refused may go on talking until it hears of it.
    if (this.#isClosed) return;
    if (data === "ping") return this.#say("pong");
    if (sizeOf(data) > MAX_FRAME_BYTES) return this.#close(1009, "Message too big");
    if (this.#speaksTooMuch(Date.now())) return this.#close(1008, "Too many messages");
    if (typeof data === "string" && this.#ports.obey(data)) return;
    this.#say(JSON.stringify({ type: "error", message: "Invalid message format" }));
  }

  #speaksTooMuch(now: number): boolean {
    this.#heardAt.push(now);
    if (this.#heardAt.length <= MAX_MESSAGES) return false;
    const first = this.#heardAt.shift() ?? 0;
    return first > now - MESSAGE_WINDOW_MS;
  }

  #say(text: string): void {
    this.#unread = hasRoom(this.#socket) ? 0 : this.#unread + 1;
    if (this.#unread > MAX_UNREAD) return this.#close(1013, "Too slow");
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  #close(code: number, reason: string): void {
    this.#isClosed = true;
    this.#ports.over();
    try {
      this.#socket.close(code, reason);
    } catch {
      // Closed already.
    }
  }
}

function sizeOf(message: string | ArrayBuffer): number {
  return typeof message === "string"
    ? new TextEncoder().encode(message).byteLength
    : message.byteLength;
}
