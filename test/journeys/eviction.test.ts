import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { objectName } from "../../src/ids.ts";
import { expectWholeLog } from "../support/api.ts";
import { SocketFollower } from "../support/follow-socket.ts";
import { answerOf, freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

/** Throws the job's object out of memory, as the platform may at any time. */
async function evict(id: string, webSockets: "hibernate" | "close"): Promise<void> {
  const name = await objectName("dev", id);
  await journey.product.harness.getWorker().evictDurableObject("JobObject", { name, webSockets });
}

describe("a job whose object is evicted in mid-stream", () => {
  it("F12: goes on, and its readers notice nothing where their sockets hibernate", async () => {
    const prompt = freshPrompt("[tokens=80 every=25]");
    const { job_id } = await journey.api.submit({ prompt });
    const streams = [journey.api.log(job_id), journey.api.log(job_id)];
    const socket = await SocketFollower.open(journey.api.url, `/ws/jobs/${job_id}`);
    await socket.frame((frame) => frame.includes("job_delta"));
    for (let evictions = 0; evictions < 3; evictions++) {
      await evict(job_id, "hibernate");
      const seen = socket.frames.length;
      await expect.poll(() => socket.frames.length).toBeGreaterThan(seen);
    }
    expect(await socket.closed).toBe(1000);
    const log = await journey.api.log(job_id);
    expectWholeLog(log);
    expect(socket.events).toEqual(log);
    for (const stream of streams) expect(await stream).toEqual(log);
    const calls = journey.provider.callsFor(prompt);
    expect(calls).toHaveLength(1);
    const { result } = await journey.api.read(job_id);
    expect(result?.content).toBe(answerOf(calls[0] ?? { id: 0 }, 80));
  });

  it("F12: goes on, and its readers notice nothing where the Workers' sockets are lost with it", async () => {
    const prompt = freshPrompt("[tokens=80 every=25]");
    const { job_id } = await journey.api.submit({ prompt });
    const socket = await SocketFollower.open(journey.api.url, `/ws/jobs/${job_id}`);
    const stream = journey.api.log(job_id);
    await socket.frame((frame) => frame.includes("job_delta"));
    for (let cuts = 0; cuts < 3; cuts++) {
      await evict(job_id, "close");
      const seen = socket.frames.length;
      await expect.poll(() => socket.frames.length).toBeGreaterThan(seen);
    }
    expect(await socket.closed).toBe(1000);
    const log = await journey.api.log(job_id);
    expectWholeLog(log);
    expect(await stream).toEqual(log);
    expect(socket.events).toEqual(log);
    expect(journey.provider.callsFor(prompt)).toHaveLength(1);
  });

  it("F12: starts on time, and keeps its key, where it was evicted before it was due", async () => {
    const job = { prompt: freshPrompt(), delay_seconds: 1 };
    await journey.api.submit(job, "evicted-early");
    await evict("evicted-early", "hibernate");
    expect(await journey.api.replay(job, "evicted-early")).toMatchObject({
      job_id: "evicted-early",
    });
    await evict("evicted-early", "close");
    expect(await journey.api.ended("evicted-early")).toMatchObject({ status: "completed" });
    expect(journey.provider.callsFor(job.prompt)).toHaveLength(1);
  });
});
