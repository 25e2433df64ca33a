import type { Frame, OwnJob, LogPage } from "../job-rpc.ts";
import { pause } from "../pause.ts";
import { jobSocket } from "./job-socket.ts";

/** One reader's way through a job's log. */
export type Reading = {
  /** A fresh stub at every call: one that has thrown is broken for good. */
  job: () => Promise<OwnJob>;
  /** The log after the cursor, if it was read already. */
  first?: LogPage;
  /** `seq` of the last event the reader has. */
  after: number;
  /** Text that may wait for the reader, in characters, before it is left to the log. */
  maxBacklog: number;
};

/** How long the job's object is left alone after it has closed a socket and said nothing, in milliseconds. */
const QUIET_MS = 1_000;

/** How often an object that does not answer is asked again, and after how long first, in milliseconds; it doubles. */
const MOST_FAILURES = 4;
const FIRST_BACK_OFF_MS = 100;

/**
 * A job's log from the cursor on, and all that comes, until its terminal event: gapless, in order, nothing twice.
 *
 * The one engine behind every transport. What is already in the log is read page by page, at the pace of whoever
 * takes it. Then a socket to the job's object, which may hibernate under it, brings the rest as it comes. A reader that
 * falls behind goes back to pages, so what waits for it here stays small, and it slows nobody. A socket that is lost
 * (a deploy, a reset) is replaced. Throws JobDeleted where the job is no more, and whatever its object says where that
 * cannot be reached for a while.
 */
export async function* follow(reading: Reading, gone: AbortSignal): AsyncGenerator<Frame[]> {
  let cursor = reading.after;
  let { first } = reading;
  while (!gone.aborted) {
    const page: LogPage = first ?? (await pageAfter(reading, cursor, gone));
    first = undefined;
    if (page.events.length > 0) yield page.events;
    cursor = page.events.at(-1)?.seq ?? cursor;
    if (page.more) continue;
    if (page.ended) return;
    const before = cursor;
    for await (const frames of live(reading, cursor, gone)) {
      yield frames;
      cursor = frames.at(-1)?.seq ?? cursor;
      if (frames.some(isLastWord)) return;
    }
    if (cursor === before) await pause(QUIET_MS * (1 + Math.random()), gone);
  }
}

/** The job was deleted while it was followed: its last word will never come. */
export class JobDeleted extends Error {
  override name = "JobDeleted";
}

/** How the JSON of a terminal event begins. */
const LAST_WORD = /^\{"type":"(?:completed|failed|cancelled)"/;

function isLastWord({ json }: Frame): boolean {
  return LAST_WORD.test(json);
}

/** The log after the cursor. An object that does not answer may be on its way: it is asked again for some seconds. */
async function pageAfter({ job }: Reading, cursor: number, gone: AbortSignal): Promise<LogPage> {
  for (let failures = 0; ; failures++) {
    try {
      const page = await (await job()).log(cursor);
      if (page.type === "found") return page.value;
    } catch (error) {
      if (failures >= MOST_FAILURES || gone.aborted) throw error;
      await pause(FIRST_BACK_OFF_MS * 2 ** failures * (1 + Math.random()), gone);
      continue;
    }
    throw new JobDeleted("the job is no more");
  }
}

/** What comes while it comes; ends when the socket closes, or the reader is behind. */
async function* live(
  { job, maxBacklog }: Reading,
  after: number,
  gone: AbortSignal,
): AsyncGenerator<Frame[]> {
  const socket = await opened(job, after);
  if (socket === null) return;
  const inbox = new Inbox(socket, after, maxBacklog);
  const leave = () => inbox.close();
  gone.addEventListener("abort", leave);
  // It may have gone while the socket was opened.
  if (gone.aborted) leave();
  try {
    for (let frames = await inbox.take(); frames.length > 0; frames = await inbox.take()) {
      yield frames;
    }
  } finally {
    gone.removeEventListener("abort", leave);
    inbox.close();
  }
}

/** Null where the object takes no socket now: the next page tells why. */
async function opened(job: Reading["job"], after: number): Promise<WebSocket | null> {
  try {
    return await jobSocket(await job(), "sse", after);
  } catch {
    return null;
  }
}

/** What a socket has brought and nobody has taken yet. */
class Inbox {
  readonly #socket: WebSocket;
  readonly #maxBacklog: number;
  #cursor: number;
  #frames: Frame[] = [];
  #chars = 0;
  #open = true;
  #stirred = Promise.withResolvers<void>();

  constructor(socket: WebSocket, cursor: number, maxBacklog: number) {
    this.#socket = socket;
    this.#cursor = cursor;
    this.#maxBacklog = maxBacklog;
    socket.addEventListener("message", ({ data }) => this.#put(frameOf(String(data))));
    for (const end of ["close", "error"] as const) {
      socket.addEventListener(end, () => this.close());
    }
    socket.accept();
  }

  /** All there is, once there is something. Nothing: no more will come. */
  async take(): Promise<Frame[]> {
    while (this.#open && this.#frames.length === 0) await this.#stirred.promise;
    const frames = this.#frames;
    this.#frames = [];
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
    const follows = frame.seq === this.#cursor + 1;
    if (!follows || this.#chars > this.#maxBacklog) return this.close();
    this.#cursor = frame.seq;
    this.#chars += frame.json.length;
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
