import type { FollowedLog } from "../../src/followed.ts";
import { job } from "./support.ts";

/** A subscriber of one log, as the Worker opens it: what it was sent, and how it was closed. */
export class Follower {
  readonly frames: string[] = [];
  closed: number | null = null;
  readonly #socket: WebSocket;
  #stirred = Promise.withResolvers<void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.frames.push(String(data));
      this.#stir();
    });
    socket.addEventListener("close", ({ code }) => {
      this.closed = code;
      this.#stir();
    });
    socket.accept();
  }

  static of(name: string, query = "format=sse"): Promise<Follower> {
    return Follower.at(job(name), query);
  }

  static async at(log: Pick<FollowedLog, "fetch">, query = "format=sse"): Promise<Follower> {
    const upgrade = new Request(`https://log/?${query}`, { headers: { upgrade: "websocket" } });
    const { status, webSocket } = await log.fetch(upgrade);
    if (webSocket === null) throw new Error(`no socket, but HTTP ${status}`);
    return new Follower(webSocket);
  }

  say(text: string): void {
    this.#socket.send(text);
  }

  leave(): void {
    this.#socket.close(1000, "Leaving");
  }

  /** The first `count` frames, once they are there. */
  async first(count: number): Promise<string[]> {
    await this.#until(() => this.frames.length >= count);
    return this.frames.slice(0, count);
  }

  /** The close code, once there is one. */
  async end(): Promise<number | null> {
    await this.#until(() => this.closed !== null);
    return this.closed;
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#stirred.promise;
  }

  #stir(): void {
    this.#stirred.resolve();
    this.#stirred = Promise.withResolvers<void>();
  }
}

/** Log lines as a subscriber of the `sse` format is sent them. */
export function asFrames(lines: string[]): string[] {
  return lines.map((line) => {
    const { seq } = JSON.parse(line) as { seq: number };
    return `id: ${seq}\ndata: ${line}\n\n`;
  });
}
