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
  REPORT,
  stored,
  submitted,
} from "./support.ts";

holdClock();

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
    const types = follower.frames.map((frame) => /"type":"(\w+)"/.exec(frame)?.[1]);
    expect(types).toEqual([
      "queued",
      "started",
      "progress",
      "delta",
      "delta",
      "progress",
      "progress",
      "completed",
    ]);
  });

  it("is sent frames that can be copied into an event stream", async () => {
    const name = await submitted();
    const follower = await Follower.of(name);
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
      Follower.of(name, "format=sse&after=0"),
      Follower.of(name, "format=sse&after=2"),
      Follower.of(name, "format=sse&after=3"),
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
    const back = await Follower.of(name, `format=sse&after=${follower.frames.length}`);
    await job(name).complete(token, partOf(0, "Because."), ANSWER, REPORT);
    await back.end();
    expect([...follower.frames, ...back.frames]).toEqual(asFrames(await lines(name)));
  });

  it("of a job that has ended is sent what it has not seen and is closed", async () => {
    const name = await submitted();
    await completed(name, "Because.");
    const whole = asFrames(await lines(name));
    for (const cursor of [0, 4, whole.length, whole.length + 5]) {
      const late = await Follower.of(name, `format=sse&after=${cursor}`);
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

  it("says nothing that a job listens to", async () => {
    const name = await submitted();
    const follower = await Follower.of(name);
    await follower.first(1);
    follower.say("ping");
    const { token } = await leased(name);
    await job(name).complete(token, partOf(0, "Because."), ANSWER, REPORT);
    expect(await follower.end()).toBe(1000);
    expect(follower.frames).toEqual(asFrames(await lines(name)));
  });
});

const waiting = (name: string, after: number) => Follower.of(name, `format=poll&after=${after}`);

describe("a subscriber that waits for a change", () => {
  it("is told once by each change, and of text nothing", async () => {
    const name = await submitted();
    const follower = await waiting(name, 1);
    const { token } = await leased(name);
    await follower.first(1);
    await job(name).append(token, partOf(0, "Rayleigh "));
    await job(name).append(token, partOf(1, "scattering."));
    expect(follower.frames).toEqual(["changed"]);
    await job(name).complete(token, partOf(2, ""), ANSWER, REPORT);
    expect(await follower.end()).toBe(1000);
    expect(follower.frames).toEqual(["changed", "changed"]);
  });

  it("is told at once of a change that it has not seen, and of unseen text nothing", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Because."));
    const log = await lines(name);
    expect(await (await waiting(name, log.length - 2)).first(1)).toEqual(["changed"]);
    const upToDate = await waiting(name, log.length - 1);
    await job(name).cancel("Enough");
    expect(await upToDate.end()).toBe(1000);
    expect(upToDate.frames).toEqual(["changed"]);
  });

  it("makes no attempt hurry, and costs no row", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const before = await stored(name);
    const followers = await Promise.all(Array.from({ length: 50 }, () => waiting(name, 3)));
    expect(await job(name).append(token, partOf(0, ""))).toEqual({ go: true, watched: false });
    expect((await stored(name)).rows).toEqual(before.rows);
    for (const follower of followers) follower.leave();
  });
});
