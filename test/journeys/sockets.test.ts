import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { refusedUpgrade, SocketFollower } from "../support/follow-socket.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

function follow(id: string, query = ""): Promise<SocketFollower> {
  return SocketFollower.open(journey.api.url, `/ws/jobs/${id}${query}`);
}

async function waitingJob(): Promise<string> {
  return (await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 600 })).job_id;
}

describe("a socket on a job", () => {
  it("is told the same log as an event stream, each type with its prefix, and closed with 1000", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=12 every=60]") });
    const live = await follow(job_id);
    expect(await live.closed).toBe(1000);
    const log = await journey.api.log(job_id);
    expect(live.events).toEqual(log);
    for (const frame of live.frames) expect(frame).toMatch(/^\{"type":"job_/);
    expect(live.frames.at(0)).toContain('"job_queued"');
    expect(live.frames.at(-1)).toContain('"job_completed"');
    const late = await follow(job_id);
    expect(await late.closed).toBe(1000);
    expect(late.frames).toEqual(live.frames);
  });

  it("starts after its cursor, wherever that is", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=6 every=60]") });
    const log = await journey.api.log(job_id);
    const heardAfter = async (cursor: number | string) => {
      const follower = await follow(job_id, `?after=${cursor}`);
      expect(await follower.closed).toBe(1000);
      return follower.events;
    };
    const cursors = [...log.keys(), log.length, log.length + 1];
    const heard = await Promise.all(cursors.map(heardAfter));
    expect(heard).toEqual(cursors.map((cursor) => log.slice(cursor)));
    const garbage = ["soon", "-1", "1.5", "", "%00"];
    expect(await Promise.all(garbage.map(heardAfter))).toEqual(garbage.map(() => log));
  });

  it("is one of twenty that are told the same, whenever they came", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=40 every=25]") });
    const early = await Promise.all(Array.from({ length: 10 }, () => follow(job_id)));
    await early[0]?.frame((frame) => frame.includes("job_delta"));
    const amid = await Promise.all(Array.from({ length: 10 }, () => follow(job_id)));
    const all = [...early, ...amid];
    expect(await Promise.all(all.map(({ closed }) => closed))).toEqual(all.map(() => 1000));
    const log = await journey.api.log(job_id);
    for (const follower of all) expect(follower.events).toEqual(log);
  });

  it("is told of a cancellation, and closed", async () => {
    const id = await waitingJob();
    const follower = await follow(id);
    await journey.api.cancel(id);
    expect(await follower.closed).toBe(1000);
    expect(follower.events.map(({ type }) => type)).toEqual(["queued", "cancelled"]);
  });

  it("F34: may leave without a word: the job goes on", async () => {
    const prompt = freshPrompt("[tokens=30 every=20]");
    const { job_id } = await journey.api.submit({ prompt });
    const follower = await follow(job_id);
    await follower.frame((frame) => frame.includes("job_delta"));
    follower.socket.terminate();
    expect((await journey.api.ended(job_id)).status).toBe("completed");
    expect(journey.provider.callsFor(prompt)).toMatchObject([{ closedEarlyAt: null }]);
  });
});

describe("an upgrade", () => {
  it.each([["unknown"], ["a%20b"], ["k".repeat(65)]])(
    "for the unknown job %s is refused with 404",
    async (id) => {
      expect(await refusedUpgrade(journey.api.url, `/ws/jobs/${id}`)).toBe(404);
    },
  );

  it("for a job that was deleted is refused with 410", async () => {
    await journey.api.submit({ prompt: freshPrompt(), retention_seconds: 1 }, "deleted-soon");
    const statusOf = async () => (await journey.api.fetch("/api/jobs/deleted-soon")).status;
    await expect.poll(statusOf, { timeout: 10_000 }).toBe(410);
    expect(await refusedUpgrade(journey.api.url, "/ws/jobs/deleted-soon")).toBe(410);
  });
});

describe("what a client says", () => {
  it("is answered with pong where it is ping, as often as it likes", async () => {
    const id = await waitingJob();
    const follower = await follow(id);
    for (let ping = 0; ping < 40; ping++) follower.socket.send("ping");
    await expect.poll(() => follower.frames.filter((frame) => frame === "pong").length).toBe(40);
    expect(follower.socket.readyState).toBe(follower.socket.OPEN);
    follower.socket.terminate();
  });

  it("is answered with an error where it means nothing, and the socket stays", async () => {
    const id = await waitingJob();
    const follower = await follow(id);
    await follower.frame((frame) => frame.includes("job_queued"));
    const error = { type: "error", message: "Invalid message format" };
    for (const nonsense of [
      "hello",
      "{",
      '{"type":"subscribe"}',
      Buffer.from([0, 255]),
      "x".repeat(65_536),
    ]) {
      const heard = once(follower.socket, "message");
      follower.socket.send(nonsense);
      const [answer] = (await heard) as [Buffer];
      expect(JSON.parse(String(answer))).toEqual(error);
    }
    await journey.api.cancel(id);
    expect(await follower.closed).toBe(1000);
    expect(follower.frames.at(-1)).toContain("job_cancelled");
  });

  it("closes the socket with 1009 where it is longer than 64 KiB", async () => {
    const id = await waitingJob();
    for (const long of ["x".repeat(65_537), "é".repeat(32_769)]) {
      const follower = await follow(id);
      follower.socket.send(long);
      expect(await follower.closed).toBe(1009);
    }
  });

  it("closes the socket with 1008 at the thirty-first message in ten seconds", async () => {
    const follower = await follow(await waitingJob());
    await follower.frame((frame) => frame.includes("job_queued"));
    for (let message = 0; message < 30; message++) follower.socket.send("hello");
    await expect.poll(() => follower.frames.length).toBe(31);
    expect(follower.socket.readyState).toBe(follower.socket.OPEN);
    follower.socket.send("hello");
    expect(await follower.closed).toBe(1008);
  });
});
