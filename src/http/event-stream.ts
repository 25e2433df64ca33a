import type { Config } from "../config.ts";
import type { JobRpc, LogPage } from "../job-rpc.ts";
import type { Connected } from "../schema/event.ts";

type Limits = Pick<Config, "SSE_HEARTBEAT_SECONDS" | "SSE_RETRY_MS" | "SSE_MAX_BACKLOG_BYTES">;

/** Bytes handed to the reader at a time, so that progress shows within a frame of megabytes. */
const PIECE_BYTES = 65_536;

/**
 * One reader of a job's log, as Server-Sent Events.
 *
 * What is already in the log is read page by page at the reader's own pace. Then a WebSocket to the job's
 * object, which may hibernate under it, brings the rest as ready frames. A live reader that falls behind
 * goes back to pages, so what waits for it here stays small, and it slows nobody; one that takes nothing
 * from one heartbeat to the next is cut, and comes back with its cursor. Heartbeats are written here,
 * because a timer in the object would keep it awake and billed.
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #job: () => Promise<JobRpc>;
  readonly #first: LogPage;
  readonly #limits: Limits;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #encoder = new TextEncoder();
  #cursor: number;
  /** Bytes the reader has not taken yet, and all it has taken. */
  #backlog = 0;
  #taken = 0;
  #takenAtBeat = 0;

  constructor(job: () => Promise<JobRpc>, first: LogPage, cursor: number, limits: Limits) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    this.body = readable;
    this.#writer = writable.getWriter();
    this.#job = job;
    this.#first = first;
    this.#cursor = cursor;
    this.#limits = limits;
  }

  /** Writes until the job has ended or the reader has gone. Never rejects. */
  async run(gone: AbortSignal): Promise<void> {
    gone.addEventListener("abort", () => this.#cut());
    const heartbeat = setInterval(() => this.#beat(), this.#limits.SSE_HEARTBEAT_SECONDS * 1_000);
    try {
      await this.#write(`retry: ${this.#limits.SSE_RETRY_MS}\n${connected(this.#first)}`);
      let page: LogPage | null = this.#first;
      while (page !== null) {
        const ended = await this.#catchUp(page);
        page = !ended && (await this.#follow()) === "behind" ? await this.#nextPage() : null;
      }
      // A beat that comes while the last frames are still being read would break them off.
      clearInterval(heartbeat);
      await this.#writer.close();
    } catch {
      // The reader has gone, or the object was reset: EventSource comes back with its cursor.
      this.#cut();
    } finally {
      clearInterval(heartbeat);
    }
  }

  /** Writes what is in the log already, no faster than it is read. Whether the job had ended by then. */
  async #catchUp(from: LogPage): Promise<boolean> {
    for (let page: LogPage | null = from; page !== null; page = await this.#nextPage()) {
      for (const { seq, json } of page.events) {
        await this.#write(`id: ${seq}\ndata: ${json}\n\n`);
        this.#cursor = seq;
      }
      if (!page.more) return page.ended;
    }
    return true;
  }

  /** Null: the job is no more. */
  async #nextPage(): Promise<LogPage | null> {
    const next = await (await this.#job()).log(this.#cursor);
    return next.type === "found" ? next.value : null;
  }

  /** Copies ready frames from the job's object until it closes the socket, or the reader falls behind. */
  async #follow(): Promise<"over" | "behind"> {
    const url = `https://job/?format=sse&after=${this.#cursor}`;
    const response = await (
      await this.#job()
    ).fetch(new Request(url, { headers: { upgrade: "websocket" } }));
    const socket = response.webSocket;
    if (socket === null) return "over";
    let following = true;
    const end = await new Promise<"over" | "behind">((resolve) => {
      socket.addEventListener("message", ({ data }) => {
        following &&= this.#copy(String(data));
        if (!following) resolve("behind");
      });
      socket.addEventListener("close", () => resolve("over"));
      socket.addEventListener("error", () => resolve("over"));
      const left = () => resolve("over");
      this.#writer.closed.then(left, left);
      socket.accept();
    });
    following = false;
    if (socket.readyState === WebSocket.OPEN) socket.close(1000, "The reader has gone");
    return end;
  }

  /** Passes a frame on without waiting, if the reader keeps up. A frame left out is left to the next page. */
  #copy(frame: string): boolean {
    const seq = Number(/^id: (\d+)/.exec(frame)?.[1]);
    if (seq !== this.#cursor + 1 || this.#backlog > this.#limits.SSE_MAX_BACKLOG_BYTES)
      return false;
    this.#cursor = seq;
    this.#write(frame).catch(() => this.#cut());
    return true;
  }

  #beat(): void {
    if (this.#backlog > 0 && this.#taken === this.#takenAtBeat) return this.#cut();
    this.#takenAtBeat = this.#taken;
    this.#write(": still here\n\n").catch(() => this.#cut());
  }

  /** Resolves once the reader has taken it all. */
  async #write(text: string): Promise<void> {
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

function connected({ jobId, status, lastSeq }: LogPage): string {
  const hello: Connected = { type: "connected", job_id: jobId, status, last_seq: lastSeq };
  return `data: ${JSON.stringify(hello)}\n\n`;
}
