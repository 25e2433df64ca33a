import { WebSocket } from "ws";

import type { EventPage } from "../src/schema/event.ts";
import { eachFrame } from "./client.ts";
import { Connections } from "./load.ts";

/** A log as it stands, and how much text is in its deltas. */
export type Log = { id: string; lastSeq: number; chars: number };

/** What a reader who comes late has of a log. An event that is missing, or comes twice, is an error. */
export class Caught {
  readonly #log: Log;
  #seq = 0;
  #chars = 0;
  /** As they came, without what the transport puts around them. */
  readonly chunks: Buffer[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  get seq(): number {
    return this.#seq;
  }

  get bytes(): number {
    return this.chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Whether that is all of it. */
  get done(): boolean {
    const { lastSeq, chars } = this.#log;
    if (this.#seq < lastSeq) return false;
    if (this.#chars !== chars) throw new Error(`${this.#chars} characters of ${chars} came`);
    return true;
  }

  take({ seq, delta = "" }: { seq?: number; delta?: string }): void {
    // The first frame of an event stream only says hello.
    if (seq === undefined) return;
    if (seq !== this.#seq + 1) throw new Error(`event ${seq} came after ${this.#seq}`);
    this.#seq = seq;
    this.#chars += delta.length;
  }
}

/** Reads a log from its beginning to where it stands, by a connection of its own. */
export type CatchUp = (origin: string, id: string, caught: Caught) => Promise<void>;

export const WAYS: Record<string, CatchUp> = {
  SSE: (origin, id, caught) => byStream(origin, `/api/jobs/${id}/events`, caught),
  WebSocket: bySocket,
  "JSON pages": byPages,
};

/** Any event stream, whoever serves it. */
export async function byStream(origin: string, path: string, caught: Caught): Promise<void> {
  using connections = new Connections(origin);
  const response = await connections.open({ path }, 200);
  response.on("data", (chunk: string) => caught.chunks.push(Buffer.from(chunk)));
  await eachFrame(response, (data) => {
    caught.take(JSON.parse(data) as { seq?: number });
    if (caught.done) response.destroy();
  });
  if (!caught.done) throw new Error(`the stream ended after event ${caught.seq}`);
}

async function bySocket(origin: string, id: string, caught: Caught): Promise<void> {
  const socket = new WebSocket(`${origin.replace(/^http/, "ws")}/ws/jobs/${id}`);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("message", (data: Buffer) => {
    caught.chunks.push(data);
    try {
      caught.take(JSON.parse(data.toString()) as { seq?: number });
      if (caught.done) resolve();
    } catch (error) {
      reject(error);
    }
  });
  socket.on("close", (code) => reject(new Error(`closed ${code} after event ${caught.seq}`)));
  socket.on("error", reject);
  await promise.finally(() => socket.terminate());
}

async function byPages(origin: string, id: string, caught: Caught): Promise<void> {
  using connections = new Connections(origin);
  while (!caught.done) {
    const path = `/api/jobs/${id}/events?after=${caught.seq}`;
    const text = await connections.ask({ path, accept: "application/json" }, 200);
    caught.chunks.push(Buffer.from(text));
    const { events } = JSON.parse(text) as EventPage;
    if (events.length === 0) throw new Error(`no page came after event ${caught.seq}`);
    for (const event of events) caught.take(event);
  }
}
