import { WebSocket } from "ws";

import { within } from "../src/within.ts";
import { eachFrame, type Client } from "./client.ts";

/** Far beyond what any of it takes. */
const WITHIN_MS = 60_000;

/** A reader of a job that waits. One who is lost before the job has ended ends the benchmark with an error. */
export class IdleReader {
  readonly #attached = Promise.withResolvers<void>();
  readonly #told = Promise.withResolvers<void>();
  /** What it would take to leave. */
  leave = (): void => {};

  /** Resolves once it has the job's first event. */
  attached(): Promise<void> {
    return within(WITHIN_MS, Promise.race([this.#attached.promise, this.#told.promise]));
  }

  /** Resolves once it was told that the job was cancelled. */
  async told(): Promise<void> {
    await within(WITHIN_MS, this.#told.promise);
    this.leave();
  }

  take(json: string): void {
    const { type } = JSON.parse(json) as { type: string };
    if (/^(job_)?queued$/.test(type)) this.#attached.resolve();
    if (/^(job_)?cancelled$/.test(type)) this.#told.resolve();
  }

  lost(how: string): void {
    this.#told.reject(new Error(`an idle reader was lost: ${how}`));
  }
}

export type Attach = (client: Client, origin: string, id: string) => Promise<IdleReader>;

export const attachStream: Attach = async (client, _, id) => {
  const response = await client.open({ path: `/api/jobs/${id}/events` }, 200);
  const reader = new IdleReader();
  eachFrame(response, (data) => reader.take(data)).then(
    () => reader.lost("the stream ended"),
    (error: unknown) => reader.lost(String(error)),
  );
  await reader.attached();
  return reader;
};

export const attachSocket: Attach = async (_, origin, id) => {
  const socket = new WebSocket(`${origin.replace(/^http/, "ws")}/ws/jobs/${id}`);
  const reader = new IdleReader();
  reader.leave = () => socket.terminate();
  socket.on("message", (data: Buffer) => reader.take(data.toString()));
  socket.on("close", (code) => reader.lost(`closed ${code}`));
  socket.on("error", (error) => reader.lost(String(error)));
  await reader.attached();
  return reader;
};
