import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { refusedUpgrade, SocketFollower } from "../support/follow-socket.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

/** The contract's bounds: messages of one socket in ten seconds, and jobs it may follow. */
const MESSAGES = 30;
const WINDOW_MS = 10_000;
const MAX_JOBS = 100;

const open = () => SocketFollower.open(journey.api.url, "/ws");

async function jobs(count: number, job: object = { delay_seconds: 600 }): Promise<string[]> {
  const submit = () => journey.api.submit({ prompt: freshPrompt(), ...job });
  const accepted = await Promise.all(Array.from({ length: count }, submit));
  return accepted.map(({ job_id }) => job_id);
}

function told(socket: SocketFollower, type: string, id: string): Promise<string> {
  return socket.frame(
    (frame) => frame.startsWith(`{"type":"${type}"`) && frame.includes(`"job_id":"${id}"`),
  );
}

describe("a socket on many jobs", () => {
  it("tells the log of each, in its order, from subscribed to the end", async () => {
    const socket = await open();
    const prompt = freshPrompt("[tokens=20 every=50]");
    const ids = await jobs(25, { prompt });
    for (const job_id of ids) socket.say({ type: "subscribe", job_id });
    await Promise.all(ids.map((id) => told(socket, "job_completed", id)));
    for (const id of ids) {
      const first = socket.frames.find((frame) => frame.includes(id));
      expect(JSON.parse(first ?? "null")).toEqual({ type: "subscribed", job_id: id });
      expect(socket.eventsOf(id)).toEqual(await journey.api.log(id));
    }
    expect(socket.socket.readyState).toBe(socket.socket.OPEN);
    socket.socket.terminate();
  });

  it("starts after its cursor, leaves, and comes back by one", async () => {
    const socket = await open();
    const [job_id = ""] = await jobs(1);
    socket.say({ type: "subscribe", job_id, after: 1 });
    await told(socket, "subscribed", job_id);
    socket.say({ type: "unsubscribe", job_id });
    await told(socket, "unsubscribed", job_id);
    await journey.api.cancel(job_id);
    const [other = ""] = await jobs(1);
    socket.say({ type: "subscribe", job_id: other });
    await told(socket, "job_queued", other);
    expect(socket.eventsOf(job_id)).toEqual([]);
    socket.say({ type: "subscribe", job_id, after: 1 });
    await told(socket, "job_cancelled", job_id);
    expect(socket.eventsOf(job_id).map(({ seq }) => seq)).toEqual([2]);
    socket.say({ type: "subscribe", job_id });
    await expect.poll(() => socket.eventsOf(job_id).map(({ seq }) => seq)).toEqual([2, 1, 2]);
    socket.socket.terminate();
  });

  it("answers what makes no sense and jobs that are not there, and stays", async () => {
    const socket = await open();
    const invalid = { type: "error", message: "Invalid message format" };
    const messages = [
      "hello",
      "{",
      "[]",
      "null",
      '{"type":"subscribe"}',
      '{"type":"subscribe","job_id":1}',
      '{"type":"subscribe","job_id":"x","after":-1}',
      '{"type":"subscribe","job_id":"x","after":1.5}',
      '{"type":"subscribe","job_id":"x","also":1}',
      '{"type":"cancel","job_id":"x"}',
    ];
    for (const message of [...messages, Buffer.from([0, 255])]) socket.socket.send(message);
    await expect.poll(() => socket.frames.length).toBe(messages.length + 1);
    for (const answer of socket.events) expect(answer).toEqual(invalid);
    for (const job_id of ["unknown", "a b", "../x", "é"]) {
      socket.say({ type: "subscribe", job_id });
      const refusal = await told(socket, "error", job_id);
      expect(JSON.parse(refusal)).toEqual({ type: "error", job_id, message: "Job not found" });
    }
    for (let ping = 0; ping < 40; ping++) socket.socket.send("ping");
    await expect.poll(() => socket.frames.filter((frame) => frame === "pong").length).toBe(40);
    socket.socket.terminate();
  });

  it("closes with 1009 at a frame of more than 64 KiB, and with 1008 at one too many", async () => {
    for (const long of ["x".repeat(65_537), Buffer.alloc(65_537)]) {
      const socket = await open();
      socket.socket.send(long);
      expect(await socket.closed).toBe(1009);
    }
    const loud = await open();
    for (let said = 0; said <= MESSAGES; said++) loud.socket.send("hello");
    expect(await loud.closed).toBe(1008);
    expect(loud.frames).toHaveLength(MESSAGES);
  });

  it("is no page, and needs an upgrade", async () => {
    expect((await journey.api.fetch("/ws")).status).toBe(426);
    expect(await refusedUpgrade(journey.api.url, "/ws/other")).toBe(404);
  });
});

// Both wait for clocks of the product's own, so they do it together.
describe.concurrent("a socket at its bounds", () => {
  it("follows a hundred jobs, as fast as it may ask for them, and not one more", async () => {
    const socket = await open();
    const ids = await jobs(MAX_JOBS + 1);
    for (let at = 0; at < ids.length; at += MESSAGES) {
      // The server counts messages by the clock, so only the clock lets the next ones pass.
      if (at > 0) await new Promise((resolve) => setTimeout(resolve, WINDOW_MS + 200));
      const some = ids.slice(at, at + MESSAGES);
      for (const job_id of some) socket.say({ type: "subscribe", job_id });
    }
    const [last = ""] = ids.slice(-1);
    expect(await told(socket, "error", last)).toContain("At most 100 jobs");
    await Promise.all(ids.map((id) => journey.api.cancel(id)));
    await Promise.all(ids.slice(0, -1).map((id) => told(socket, "job_cancelled", id)));
    for (const id of ids.slice(0, -1)) expect(socket.eventsOf(id)).toHaveLength(2);
    expect(socket.eventsOf(last)).toEqual([]);
    socket.socket.terminate();
  });

  it("F35: that never reads is cut, and slows nobody who follows the same jobs", async () => {
    const ids = await Promise.all(Array.from({ length: 6 }, () => largeJob()));
    const stuck = await open();
    stuck.socket.pause();
    for (const job_id of ids) stuck.say({ type: "subscribe", job_id });
    for (const id of ids) {
      const other = await SocketFollower.open(journey.api.url, `/ws/jobs/${id}`);
      expect(await other.closed).toBe(1000);
      expect(other.events).toEqual(await journey.api.log(id));
    }
    // Only the clock cuts it.
    await new Promise((resolve) => setTimeout(resolve, 16_000));
    stuck.socket.resume();
    expect([1006, 1013]).toContain(await stuck.closed);
    expect(stuck.frames.filter((frame) => frame.includes("job_completed")).length).toBeLessThan(6);
  });
});

/** A job with an answer of 4 MB, random so that no compression makes little of it; it has ended. */
async function largeJob(): Promise<string> {
  const prompt = freshPrompt();
  const tokens = Array.from({ length: 64 }, () => randomBytes(49_152).toString("base64"));
  journey.script(prompt, () => ({ kind: "answer", tokens }));
  const { job_id } = await journey.api.submit({ prompt });
  await journey.api.ended(job_id);
  return job_id;
}
