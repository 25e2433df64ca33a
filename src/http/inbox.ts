import type { Frame } from "../job/job-rpc.ts";
import type { Allowance } from "./allowance.ts";

/** What a socket has brought and nobody has taken yet. */
export class Inbox {
  readonly #socket: WebSocket;
  readonly #allowance: Allowance;
  #cursor: number;
  #frames: Frame[] = [];
  #chars = 0;
  #open = true;
  #stirred = Promise.withResolvers<void>();

  constructor(socket: WebSocket, cursor: number, allowance: Allowance) {
    this.#socket = socket;
    this.#cursor = cursor;
    this.#allowance = allowance;
    socket.addEventListener("message", ({ data }) => this.#put(frameOf(String(data))));
    for (const end of ["close", "error"] as const) {
      socket.addEventListener(end, () => this.close());
    }
    socket.accept();
  }

  /** Resolves once there is something to take. False: no more will come. */
  async hasSome(): Promise<boolean> {
    while (this.#open && this.#frames.length === 0) await this.#stirred.promise;
    return this.#frames.length > 0;
  }

  /** All there is. */
  take(): Frame[] {
    const frames = this.#frames;
    this.#frames = [];
    this.#allowance.release(this.#chars);
    this.#chars = 0;
    return frames;
  }

  close(): void {
    this.#open = false;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(1000, "Enough");
    this.#stir();
  }

  /** A frame that does not follow, or is too much, is left to the log. */
  #put(frame: Frame): void {
    if (!this.#open) return;
    const { seq, json } = frame;
    if (seq !== this.#cursor + 1 || !this.#allowance.hold(json.length)) return this.close();
    this.#cursor = seq;
    this.#chars += json.length;
    this.#frames.push(frame);
    this.#stir();
  }

  #stir(): void {
    this.#stirred.resolve();
    this.#stirred = Promise.withResolvers<void>();
  }
}

/** A frame as the job's object sends it: `id: <seq>`, `data: <json>`, an empty line. */
function frameOf(text: string): Frame {
  const [id = "", data = ""] = text.split("\n", 2);
  return { seq: Number(id.slice("id: ".length)), json: data.slice("data: ".length) };
}
