import { once } from "node:events";
import { connect } from "node:net";
import { EventSource } from "eventsource";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { JobEvent } from "../../src/schema/event.ts";
import {
  allFrames,
  connectedOf,
  expectWholeLog,
  isTerminal,
  sseFrames,
  textOf,
  type SseFrame,
} from "../support/api.ts";
import { answerOf, freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney({ SSE_HEARTBEAT_SECONDS: "1", SSE_MAX_BACKLOG_BYTES: "100000" });
});
afterAll(() => journey.close());

function eventsOf(frames: SseFrame[]): JobEvent[] {
  return frames
    .filter(({ id }) => id !== undefined)
    .map(({ data }) => JSON.parse(data ?? "null") as JobEvent);
}

describe("an event stream", () => {
  it("tells the whole story of a job in order, from its first byte to the end", async () => {
    const prompt = freshPrompt("[tokens=12 every=80]");
    const { job_id } = await journey.api.submit({ prompt });
    const response = await journey.api.fetch(`/api/jobs/${job_id}/events`);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
      "access-control-allow-origin": "*",
    });
    const frames = await allFrames(response);
    expect(frames[0]).toEqual({ retry: "2000", data: expect.any(String) });
    const connected = connectedOf(frames[0]);
    expect(Object.keys(connected)).toEqual(["type", "job_id", "status", "last_seq"]);
    expect(connected).toMatchObject({ type: "connected", job_id });
    const events = eventsOf(frames);
    expectWholeLog(events);
    expect(frames.slice(1).filter(({ comment }) => comment === undefined)).toEqual(
      events.map((event) => ({ id: String(event.seq), data: JSON.stringify(event) })),
    );
    for (const event of events) expect(Object.keys(event)[0]).toBe("type");
    for (const event of events) expect(event.job_id).toBe(job_id);
    const steps = events.map((event) =>
      event.type === "progress" ? `${event.progress} ${event.step}` : event.type,
    );
    expect(steps.filter((step) => step !== "delta")).toEqual([
      "queued",
      "started",
      "10 Starting LLM API call",
      "80 LLM response received",
      "100 Complete",
      "completed",
    ]);
    expect(steps.filter((step) => step === "delta").length).toBeGreaterThan(5);
    expect(events[1]).toMatchObject({ attempt: 1, model: "gpt-4o", provider: "openai" });
    const { result } = await journey.api.read(job_id);
    expect(events.at(-1)).toMatchObject({ type: "completed", result });
    const [call] = journey.provider.callsFor(prompt);
    expect(textOf(events)).toBe(answerOf(call ?? { id: 0 }, 12));
  });

  it("F21: begins at once, though the job does not, and shows that it lives", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 60 });
    const askedAt = Date.now();
    const response = await journey.api.fetch(`/api/jobs/${job_id}/events`);
    const seen: SseFrame[] = [];
    for await (const frame of sseFrames(response)) {
      seen.push(frame);
      if (frame.id === "1") expect(Date.now() - askedAt).toBeLessThan(800);
      if (frame.comment !== undefined) break;
    }
    expect(connectedOf(seen[0])).toEqual({
      type: "connected",
      job_id,
      status: "queued",
      last_seq: 1,
    });
    expect(eventsOf(seen)).toMatchObject([{ type: "queued", run_at: expect.any(String) }]);
    expect(Date.now() - askedAt).toBeLessThan(2_500);
    await journey.api.cancel(job_id);
  });

  it("resumes anywhere by Last-Event-ID or ?after=, and answers 204 at or past the end", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=6 every=60]") });
    const log = await journey.api.log(job_id);
    const path = `/api/jobs/${job_id}/events`;
    for (let cursor = 0; cursor < log.length; cursor++) {
      const headers = { "last-event-id": String(cursor) };
      const byHeader = await journey.api.fetch(path, { headers });
      expect(eventsOf(await allFrames(byHeader))).toEqual(log.slice(cursor));
      expect(await journey.api.log(job_id, cursor)).toEqual(log.slice(cursor));
    }
    for (const cursor of [log.length, log.length + 1, 999_999_999]) {
      const response = await journey.api.fetch(`${path}?after=${cursor}`);
      expect([response.status, await response.text()]).toEqual([204, ""]);
    }
    const headers = { "last-event-id": "3" };
    const both = await journey.api.fetch(`${path}?after=1`, { headers });
    expect(eventsOf(await allFrames(both))).toEqual(log.slice(3));
  });

  it.each([["soon"], ["-1"], ["1.5"], ["1e1"], ["0x2"], [" "], [""], ["9".repeat(30)]])(
    "ignores the cursor %j",
    async (cursor) => {
      const { job_id } = await journey.api.submit({ prompt: freshPrompt() });
      const log = await journey.api.log(job_id);
      const path = `/api/jobs/${job_id}/events`;
      const byQuery = await journey.api.fetch(`${path}?after=${encodeURIComponent(cursor)}`);
      expect(eventsOf(await allFrames(byQuery))).toEqual(log);
      const headers = { "last-event-id": cursor };
      expect(eventsOf(await allFrames(await journey.api.fetch(path, { headers })))).toEqual(log);
    },
  );

  it("of a failing job tells of each attempt, and that its text is void", async () => {
    const prompt = freshPrompt("[cut=3 every=30 x1]");
    const { job_id } = await journey.api.submit({ prompt });
    const log = await journey.api.log(job_id);
    expectWholeLog(log);
    const started = log.filter(({ type }) => type === "started");
    expect(started).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
    const failed = log.find(({ type }) => type === "attempt_failed");
    expect(failed).toMatchObject({ attempt: 1, error_code: "provider_unavailable" });
    expect(failed).toMatchObject({ retry_at: expect.any(String), error: expect.any(String) });
    const [first, second] = journey.provider.callsFor(prompt);
    expect(answerOf(first ?? { id: 0 }, 3).startsWith(textOf(log, 1))).toBe(true);
    expect(textOf(log, 2)).toBe(answerOf(second ?? { id: 0 }));
  });
});

describe("many readers", () => {
  it("all see the same log, whenever they come (invariant 4)", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=40 every=25]") });
    const early = Array.from({ length: 10 }, () => journey.api.log(job_id));
    await journey.api.firstEvent(job_id, ({ type }) => type === "delta");
    const amid = Array.from({ length: 10 }, () => journey.api.log(job_id));
    const [log = [], ...others] = await Promise.all([...early, ...amid]);
    expectWholeLog(log);
    for (const other of others) expect(other).toEqual(log);
    expect(await journey.api.log(job_id)).toEqual(log);
  });

  it("of whom one leaves take nothing from the others", async () => {
    const prompt = freshPrompt("[tokens=40 every=25]");
    const { job_id } = await journey.api.submit({ prompt });
    const staying = journey.api.log(job_id);
    for (let leaving = 0; leaving < 5; leaving++) {
      await journey.api.firstEvent(job_id, ({ type }) => type === "delta");
    }
    expectWholeLog(await staying);
    expect((await journey.api.read(job_id)).status).toBe("completed");
    expect(journey.provider.callsFor(prompt)).toMatchObject([{ closedEarlyAt: null }]);
  });
});

describe("a storm of readers", () => {
  it("F35: that drop and come back all the time each see every event once, and the job goes its way (invariant 4)", async () => {
    const prompt = freshPrompt("[tokens=60 every=50]");
    const { job_id } = await journey.api.submit({ prompt });
    const readers = Array.from({ length: 40 }, async (_, index) => {
      const seen: JobEvent[] = [];
      while (!seen.some(isTerminal)) {
        // Each leaves after a number of events of its own, and goes on where it was.
        let most = 1 + (index % 7);
        for await (const event of journey.api.follow(job_id, seen.length)) {
          seen.push(event);
          if (--most === 0) break;
        }
      }
      return seen;
    });
    const stories = await Promise.all(readers);
    const log = await journey.api.log(job_id);
    expectWholeLog(log);
    for (const seen of stories) expect(seen).toEqual(log);
    const calls = journey.provider.callsFor(prompt);
    expect(calls).toHaveLength(1);
    expect(textOf(log)).toBe(answerOf(calls[0] ?? { id: 0 }, 60));
  });
});

describe("the browser's EventSource", () => {
  it("hears every event once, comes back by itself, and is told to stop", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=20 every=50]") });
    const source = new EventSource(`${journey.api.url}/api/jobs/${job_id}/events`);
    const heard: { type: string }[] = [];
    source.addEventListener("message", ({ data }) => {
      heard.push(JSON.parse(String(data)) as { type: string });
    });
    await expect.poll(() => source.readyState, { timeout: 15_000 }).toBe(EventSource.CLOSED);
    expect(heard.filter(({ type }) => type === "connected")).toHaveLength(1);
    expect(heard.filter(({ type }) => type !== "connected")).toEqual(await journey.api.log(job_id));
  });
});

describe("a reader that does not read", () => {
  it("is not taken for one because a token of megabytes came before it had a turn to read", async () => {
    const prompt = freshPrompt();
    const tokens = ["a".repeat(3_000_000), "b", "c", "d"];
    journey.script(prompt, () => ({ kind: "answer", tokens, everyMs: 60, firstAfterMs: 300 }));
    const { job_id } = await journey.api.submit({ prompt });
    const events = eventsOf(await allFrames(await journey.api.fetch(`/api/jobs/${job_id}/events`)));
    expectWholeLog(events);
    expect(textOf(events)).toBe(tokens.join(""));
    expect(events.at(-1)?.type).toBe("completed");
  });

  it("F35: slows nobody, at a byte a second; it is cut or catches up, and resumes by its cursor", async () => {
    const prompt = freshPrompt("[huge=6000000]");
    const { job_id, events_url } = await journey.api.submit({ prompt, delay_seconds: 1 });
    const { hostname, port } = new URL(journey.api.url);
    const socket = connect(Number(port), hostname);
    socket.write(`GET ${events_url} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
    const [first] = (await once(socket, "data")) as [Buffer];
    socket.pause();
    const chunks = [first];
    // One byte a second, while the job goes its way.
    const sipping = setInterval(() => {
      const byte = socket.read(1) as Buffer | null;
      if (byte !== null) chunks.push(byte);
    }, 1_000);
    const job = await journey.api.ended(job_id, 15_000);
    clearInterval(sipping);
    expect(job.status).toBe("completed");
    expect(job.processing_time_ms).toBeLessThan(10_000);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {});
    const whole = () => Buffer.concat(chunks).includes('"type":"completed"');
    socket.resume();
    await expect.poll(() => socket.closed || whole(), { timeout: 20_000 }).toBe(true);
    socket.destroy();
    const text = Buffer.concat(chunks).toString();
    const ids = Array.from(text.matchAll(/^id: (\d+)$/gm), ([, id]) => Number(id));
    expect(ids).toEqual(ids.map((_, index) => index + 1));
    const log = await journey.api.log(job_id);
    expectWholeLog(log);
    expect(textOf(log)).toBe(job.result?.content);
    const cursor = Math.max(0, ids.length - 1);
    expect(await journey.api.log(job_id, cursor)).toEqual(log.slice(cursor));
  });
});
