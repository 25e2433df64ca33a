import type { IncomingMessage } from "node:http";

import type { BatchAccepted, BatchView } from "../src/schema/batch.ts";
import type { JobEvent } from "../src/schema/event.ts";
import type { JobAccepted, JobView } from "../src/schema/job.ts";
import { Connections } from "./load.ts";

/** Microseconds of the one clock that all processes of this machine share. */
export function micros(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** When each token of a piece of text was sent; the provider writes nothing else. */
export function stampsIn(text: string): number[] {
  return text.trim().split(" ").map(Number);
}

/** A user of the product. */
export class Client extends Connections {
  async submit(job: object): Promise<string> {
    return (await this.accepted(job)).job_id;
  }

  async accepted(job: object): Promise<JobAccepted> {
    const ask = { method: "POST", path: "/api/jobs", body: JSON.stringify(job) };
    return JSON.parse(await this.ask(ask, 202)) as JobAccepted;
  }

  async submitBatch(batch: object): Promise<BatchAccepted> {
    const ask = { method: "POST", path: "/api/batches", body: JSON.stringify(batch) };
    return JSON.parse(await this.ask(ask, 202)) as BatchAccepted;
  }

  async readBatch(id: string): Promise<BatchView> {
    return JSON.parse(await this.ask({ path: `/api/batches/${id}` }, 200)) as BatchView;
  }

  async read(id: string): Promise<JobView> {
    return JSON.parse(await this.ask({ path: `/api/jobs/${id}` }, 200)) as JobView;
  }

  /** Follows a job by Server-Sent Events to its end, which must be its completion. */
  async follow(id: string, onEvent: (event: JobEvent, at: number) => void = () => {}) {
    const response = await this.open({ path: `/api/jobs/${id}/events` }, 200);
    let last = "";
    await eachFrame(response, (data, at) => {
      last = data;
      const event = JSON.parse(data) as JobEvent | { type: "connected" };
      if (event.type !== "connected") onEvent(event, at);
    });
    if (!last.startsWith('{"type":"completed"')) throw new Error(`job ${id} ended with ${last}`);
  }
}

/** Calls the provider as the product does, without the product. */
export async function callDirectly(
  provider: Connections,
  prompt: string,
  onText: (text: string, at: number) => void,
): Promise<void> {
  const body = JSON.stringify({ stream: true, messages: [{ role: "user", content: prompt }] });
  const ask = { method: "POST", path: "/v1/chat/completions", body };
  await eachFrame(await provider.open(ask, 200), (data, at) => {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data) as { choices: { delta: { content?: string } }[] };
    const text = chunk.choices[0]?.delta.content ?? "";
    if (text !== "") onText(text, at);
  });
}

/**
 * Hands on the data of each frame of an event stream, and when it came; resolves at the stream's end, or once it was
 * destroyed without an error.
 */
export function eachFrame(response: IncomingMessage, onData: (data: string, at: number) => void) {
  return new Promise<void>((resolve, reject) => {
    let rest: string[] = [];
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      const at = micros();
      // A frame of megabytes comes in many chunks: what was searched for its end is not searched again.
      const mayEnd = `${rest.at(-1)?.at(-1) ?? ""}${chunk}`.includes("\n\n");
      rest.push(chunk);
      if (!mayEnd) return;
      const frames = rest.join("").split("\n\n");
      rest = [frames.pop() ?? ""];
      try {
        for (const frame of frames) {
          const data = /^data: (.*)$/m.exec(frame)?.[1];
          if (data !== undefined) onData(data, at);
        }
      } catch (error) {
        response.destroy(error as Error);
      }
    });
    // A connection that is lost is an error before it is closed.
    response.on("end", resolve).on("error", reject).on("close", resolve);
  });
}
