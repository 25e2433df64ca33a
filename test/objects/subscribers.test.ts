import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { asFrames, Follower } from "./follower.ts";
import {
  ANSWER,
  completed,
  holdClock,
  job,
  leased,
  lines,
  newName,
  objectOf,
  partOf,
  passTime,
  REPORT,
  submitted,
} from "./support.ts";

holdClock();

const ERROR = JSON.stringify({ type: "error", message: "Invalid message format" });

describe("a subscriber", () => {
  it("is sent the log and then what comes, and is closed with 1000 at the end", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const follower = await Follower.of(name);
    await follower.first(3);
    await job(name).append(token, partOf(0, "Rayleigh "));
    await follower.first(4);
    await job(name).complete(token, partOf(1, "scattering."), ANSWER, REPORT);
    expect(await follower.end()).toBe(1000);
    expect(follower.frames).toEqual(asFrames(await lines(name)));
    const types = follower.frames.map((frame) => (JSON.parse(frame) as { type: string }).type);
    expect(types).toEqual([
      "job_queued",
      "job_started",
      "job_progress",
      "job_delta",
      "job_delta",
      "job_progress",
      "job_progress",
      "job_completed",
    ]);
  });

  it("of the sse format is sent frames that can be copied into an event stream", async () => {
    const name = await submitted();
    const follower = await Follower.of(name, "format=sse");
    await completed(name, "Rayleigh scattering.\n\nReally.");
    expect(await follower.end()).toBe(1000);
    const frames = (await lines(name)).map((line, at) => `id: ${at + 1}\ndata: ${line}\n\n`);
    expect(follower.frames).toEqual(frames);
    expect(follower.frames.every((frame) => frame.trimEnd().split("\n").length === 2)).toBe(true);
  });

  it("starts after its cursor, and sees what another one sees", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const followers = await Promise.all([
      Follower.of(name, "format=ws&after=0"),
      Follower.of(name, "format=ws&after=2"),
      Follower.of(name, "format=ws&after=3"),
    ]);
    await job(name).complete(token, partOf(0, "Because."), ANSWER, REPORT);
    const whole = asFrames(await lines(name));
    for (const [at, cursor] of [0, 2, 3].entries()) {
      expect(await followers[at]?.end()).toBe(1000);
      expect(followers[at]?.frames).toEqual(whole.slice(cursor));
    }
  });

  it("that comes while a job runs misses nothing and sees nothing twice (invariant 4)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const parts = Array.from({ length: 20 }, (_part, at) => partOf(at, `word${at} `));
    const arrivals: Promise<Follower>[] = [];
    for (const part of parts) {
      const appended = job(name).append(token, part);
      arrivals.push(Follower.of(name));
      await appended;
    }
    await job(name).complete(token, partOf(20, ""), ANSWER, REPORT);
    const whole = asFrames(await lines(name));
    for (const follower of await Promise.all(arrivals)) {
      await follower.end();
      expect(follower.frames).toEqual(whole);
    }
  });

  it("F12: sleeps through an eviction and is sent what happens after it", async () => {
    const name = await submitted();
    const follower = await Follower.of(name);
    await follower.first(1);
    await evictDurableObject(objectOf(name));
    const { token } = await leased(name);
    await follower.first(3);
    await evictDurableObject(objectOf(name));
    await job(name).complete(token, partOf(0, "Because."), ANSWER, REPORT);
    expect(await follower.end()).toBe(1000);
    expect(follower.frames).toEqual(asFrames(await lines(name)));
  });

  it("F13: that is cut off by a crash comes back with its cursor and has the same log (invariant 4)", async () => {
    const name = await submitted();
    const follower = await Follower.of(name);
    await follower.first(1);
    await abortAllDurableObjects();
    const { token } = await leased(name);
    const back = await Follower.of(name, `format=ws&after=${follower.frames.length}`);
    await job(name).complete(token, partOf(0, "Because."), ANSWER, REPORT);
    await back.end();
    expect([...follower.frames, ...back.frames]).toEqual(asFrames(await lines(name)));
  });

  it("of a job that has ended is sent what it has not seen and is closed", async () => {
    const name = await submitted();
    await completed(name, "Because.");
    const whole = asFrames(await lines(name));
    for (const cursor of [0, 4, whole.length, whole.length + 5]) {
      const late = await Follower.of(name, `format=ws&after=${cursor}`);
      expect(await late.end()).toBe(1000);
      expect(late.frames).toEqual(whole.slice(cursor));
    }
  });

  it("of no job is refused with 404", async () => {
    const answer = await job(newName()).fetch(new Request("https://job/"));
    expect(answer.status).toBe(404);
  });

  it("is what makes an attempt hurry, for as long as it is there", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const pulse = () => job(name).append(token, partOf(0, ""));
    expect(await pulse()).toEqual({ go: true, watched: false });
    const follower = await Follower.of(name);
    expect(await pulse()).toEqual({ go: true, watched: true });
    follower.leave();
    while ((await pulse()).watched);
    expect(await pulse()).toEqual({ go: true, watched: false });
  });

  it("that leaves has its close answered, and need not wait for a timeout to be gone", async () => {
    const follower = await Follower.of(await submitted());
    follower.leave();
    expect(await follower.end()).toBe(1000);
  });
});

describe("what a subscriber says", () => {
  it("is answered with pong where it is ping, without waking the job", async () => {
    const name = await submitted();
    const follower = await Follower.of(name);
    await follower.first(1);
    await evictDurableObject(objectOf(name));
    for (let ping = 0; ping < 40; ping++) follower.say("ping");
    expect((await follower.first(41)).slice(1)).toEqual(Array<string>(40).fill("pong"));
    await expect(evictDurableObject(objectOf(name))).rejects.toThrow("not currently running");
  });

  it.each([
    ["text", "subscribe me"],
    ["JSON", '{"type":"subscribe","job_id":"test-123"}'],
    ["bytes", new ArrayBuffer(8)],
    ["64 KiB to the byte", "é".repeat(32_768)],
  ])("is an invalid message where it is %s, and the socket stays", async (_what, message) => {
    const name = await submitted();
    const follower = await Follower.of(name);
    follower.say(message);
    expect((await follower.first(2))[1]).toBe(ERROR);
    await leased(name);
    await follower.first(4);
    expect(follower.closed).toBeNull();
  });

  it.each([
    ["text", "é".repeat(32_769)],
    ["bytes", new ArrayBuffer(65_537)],
  ])("closes with 1009 where it is more than 64 KiB of %s", async (_what, message) => {
    const follower = await Follower.of(await submitted());
    follower.say(message);
    expect(await follower.end()).toBe(1009);
    expect(follower.frames).toHaveLength(1);
  });

  it("closes with 1008 at the 31st message within ten seconds, others staying open", async () => {
    const name = await submitted();
    const loud = await Follower.of(name);
    const quiet = await Follower.of(name);
    for (let message = 0; message < 31; message++) loud.say("hello");
    expect(await loud.end()).toBe(1008);
    expect(loud.frames.filter((frame) => frame === ERROR)).toHaveLength(30);
    quiet.say("hello");
    expect((await quiet.first(2))[1]).toBe(ERROR);
    expect(quiet.closed).toBeNull();
  });

  it("may be thirty messages every ten seconds, for as long as it likes", async () => {
    const follower = await Follower.of(await submitted());
    for (let round = 1; round <= 3; round++) {
      for (let message = 0; message < 30; message++) follower.say("hello");
      await follower.first(1 + 30 * round);
      passTime(10_000);
    }
    expect(follower.closed).toBeNull();
  });
});
