import type { Config } from "../settings/config.ts";
import type { Frame } from "../job/job-rpc.ts";
import { joined, jsonOf, type ReadPage } from "./event-json.ts";

type Limits = Pick<Config, "SSE_HEARTBEAT_SECONDS" | "SSE_RETRY_MS">;

/** Bytes handed to the reader at a time, so that progress shows within a frame of megabytes. */
const PIECE_BYTES = 65_536;

const FRAME_END = "\n\n";

/**
 * One reader of a log, as Server-Sent Events. It is read at the reader's own pace; one that takes nothing from one
 * heartbeat to the next is cut, and comes back with its cursor. Heartbeats are written here, because a timer in
 * its object would keep that awake and billed.
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #limits: Limits;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #encoder = new TextEncoder();
  readonly #gone = new AbortController();
  /** Bytes the reader has not taken yet, and all it has taken. */
  #backlog = 0;
  #taken = 0;
  #takenAtBeat = 0;
  /** Whether only a part of a frame was written: a comment would be taken for more of it. */
  #isAmid = false;

  constructor(limits: Limits) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    this.body = readable;
    this.#writer = writable.getWriter();
    this.#limits = limits;
    const left = () => this.#gone.abort();
    this.#writer.closed.then(left, left);
  }

  /** Aborted once nobody reads any more. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Writes where the log stands, then the log, until it ends, the reader has gone or its time is up. Never rejects. */
  async run(
    stand: object,
    log: AsyncIterable<Frame[]>,
    pageAfter: ReadPage,
    { left, expired }: { left: AbortSignal; expired: AbortSignal },
  ): Promise<void> {
    left.addEventListener("abort", () => this.#cut());
    // The log ends by itself then; what a slow reader has not taken by its time it may not have.
    expired.addEventListener("abort", () => {
      if (this.#backlog > 0) this.#cut();
    });
    const heartbeat = setInterval(() => this.#beat(), this.#limits.SSE_HEARTBEAT_SECONDS * 1_000);
    try {
      await this.#write(`retry: ${this.#limits.SSE_RETRY_MS}\n${connected(stand)}`);
      for await (const frames of log) {
        for await (const text of joined(rendered(frames, pageAfter), PIECE_BYTES)) {
          await this.#write(text);
        }
      }
      // A beat that comes while the last frames are still being read would break them off.
      clearInterval(heartbeat);
      await this.#writer.close();
    } catch {
      // The reader has gone, or the object cannot be reached: EventSource comes back with its cursor.
      this.#cut();
    } finally {
      clearInterval(heartbeat);
    }
  }

  #beat(): void {
    if (this.#backlog > 0 && this.#taken === this.#takenAtBeat) return this.#cut();
    this.#takenAtBeat = this.#taken;
    if (!this.#isAmid) this.#write(": still here\n\n").catch(() => this.#cut());
  }

  /** Resolves once the reader has taken it all. */
  async #write(text: string): Promise<void> {
    this.#isAmid = !text.endsWith(FRAME_END);
    const bytes = this.#encoder.encode(text);
    const pieces: Promise<void>[] = [];
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      pieces.push(this.#writePiece(bytes.subarray(at, at + PIECE_BYTES)));
    }
    await Promise.all(pieces);
  }

  async #writePiece(piece: Uint8Array): Promise<void> {
    this.#backlog += piece.byteLength;
    await this.#writer.write(piece);
    this.#backlog -= piece.byteLength;
    this.#taken += piece.byteLength;
  }

  #cut(): void {
    this.#writer.abort(new Error("The reader was cut")).catch(() => {});
  }
}

async function* rendered(frames: Frame[], pageAfter: ReadPage): AsyncGenerator<string> {
  for (const frame of frames) {
    yield `id: ${frame.seq}\ndata: `;
    yield* jsonOf(frame, pageAfter);
    yield FRAME_END;
  }
}

function connected(stand: object): string {
  return `data: ${JSON.stringify({ type: "connected", ...stand })}${FRAME_END}`;
}
