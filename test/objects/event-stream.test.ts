import { describe, expect, it } from "vitest";

import { EventStream } from "../../src/http/event-stream.ts";
import type { LogRun } from "../../src/followed.ts";
import type { Frame } from "../../src/job/job-rpc.ts";

const NEVER = new AbortController().signal;

function page(events: Frame[]): LogRun {
  return { lastSeq: 0, ended: false, events, more: false };
}

function frames(count: number, chars: number): Frame[] {
  return Array.from({ length: count }, (_, at) => ({
    seq: at + 1,
    json: JSON.stringify({ type: "delta", delta: "x".repeat(chars) }),
  }));
}

/** What a reader is handed of these runs, chunk by chunk. */
async function chunksOf(
  runs: Frame[][],
  {
    heartbeatSeconds = 15,
    pageAfter = () => Promise.reject<LogRun>(new Error("no page was to be read")),
  }: { heartbeatSeconds?: number; pageAfter?: (cursor: number) => Promise<LogRun> } = {},
): Promise<string[]> {
  const stream = new EventStream({ SSE_HEARTBEAT_SECONDS: heartbeatSeconds, SSE_RETRY_MS: 1 });
  async function* log() {
    yield* runs;
  }
  void stream.run({ job_id: "job" }, log(), pageAfter, { left: NEVER, expired: NEVER });
  const chunks: string[] = [];
  const decoder = new TextDecoder();
  for await (const bytes of stream.body) chunks.push(decoder.decode(bytes, { stream: true }));
  return chunks;
}

function asEvents(run: Frame[]): string {
  return run.map(({ seq, json }) => `id: ${seq}\ndata: ${json}\n\n`).join("");
}

describe("an event stream", () => {
  it("is written in few pieces where much comes together, and at once where little does", async () => {
    const many = frames(3_000, 40);
    const [hello = "", ...chunks] = await chunksOf([many.slice(0, 1), [], many.slice(1)]);
    expect(hello).toContain('"connected"');
    expect(chunks.join("")).toBe(asEvents(many));
    expect(chunks[0]).toBe(asEvents(many.slice(0, 1)));
    expect(chunks.length).toBeLessThan(10);
  });

  it("has no heartbeat amid an event that comes in parts, however long that takes", async () => {
    // Each is more than is written at a time.
    const texts = ['He said "no".\n', "a\\b\u2028 ", "🌈é漢"].map((text) => text.repeat(20_000));
    const whole = { type: "completed", result: { content: texts.join(""), model: "m" } };
    const json = JSON.stringify({ ...whole, result: { ...whole.result, content: "" } });
    const at = json.indexOf('"content":"') + '"content":"'.length;
    const end: Frame = { seq: 6, json, text: { after: 2, at, bytes: 9 } };
    const log = texts.map((delta, place) => ({
      seq: 3 + place,
      json: JSON.stringify({ type: "delta", delta }),
    }));
    const cursors: number[] = [];
    const pageAfter = async (cursor: number) => {
      cursors.push(cursor);
      // Some heartbeats long.
      await new Promise((resolve) => setTimeout(resolve, 30));
      return page(cursor === 4 ? [...log.slice(2), end] : log.slice(cursor - 2, cursor - 1));
    };
    const chunks = await chunksOf([[end], frames(1, 1)], { heartbeatSeconds: 0.01, pageAfter });
    const [, ...events] = chunks
      .join("")
      .split("\n\n")
      .filter((frame) => frame !== ": still here");
    expect(events[0] === `id: 6\ndata: ${JSON.stringify(whole)}`).toBe(true);
    expect(cursors).toEqual([2, 3, 4]);
  });
});
