import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import type { JobSpec } from "../../src/domain/job.ts";
import { Follower } from "./follower.ts";
import {
  ANSWER,
  completed,
  deadLetter,
  holdClock,
  job,
  lease,
  leased,
  logged,
  newName,
  objectOf,
  OUTAGE,
  partOf,
  passTime,
  REPORT,
  specOf,
  stored,
  wakeWhenDue,
} from "./support.ts";

holdClock();

const CANARY = "canary-51d2";

/** A job that has begun, with the canary in all its caller gave it and in what it has said. */
async function begun(overrides: Partial<JobSpec> = {}) {
  const name = newName();
  const spec = specOf({ user: CANARY, metadata: { note: CANARY }, ...overrides });
  await job(name).submit(spec, { prompt: CANARY });
  const { token } = await leased(name);
  await job(name).append(token, partOf(0, CANARY));
  return { name, token };
}

async function traces(name: string): Promise<number> {
  return JSON.stringify(await stored(name)).split(CANARY).length - 1;
}

const STATES: [string, (name: string, token: string) => Promise<unknown>][] = [
  ["is streaming", () => Promise.resolve()],
  ["waits for its next attempt", (name, token) => job(name).fail(token, OUTAGE, REPORT)],
  ["has completed", (name, token) => job(name).complete(token, partOf(1, ""), ANSWER, REPORT)],
  ["was cancelled", (name) => job(name).cancel("enough")],
  [
    "has failed",
    async (name, token) => {
      await job(name).fail(token, { ...OUTAGE, remedy: "give_up" }, REPORT);
      await deadLetter(name);
    },
  ],
  [
    "has failed, its letter not written",
    async (name, token) => {
      await job(name).fail(token, { ...OUTAGE, remedy: "give_up" }, REPORT);
      passTime(15_000);
    },
  ],
];

describe.each(STATES)("deleting a job that %s", (_, befall) => {
  it("leaves nothing of its content and its id taken, for good", async () => {
    const { name, token } = await begun();
    await befall(name, token);
    expect(await traces(name)).toBeGreaterThan(2);
    expect(await job(name).delete()).toEqual({ type: "found", value: null });
    expect(await traces(name)).toBe(0);
    for (const remembers of [true, false]) {
      if (!remembers) await evictDurableObject(objectOf(name));
      for (const answer of [
        job(name).read(true),
        job(name).log(0),
        job(name).attempts(),
        job(name).source(),
        job(name).cancel("again"),
        job(name).delete(),
        job(name).submit(specOf(), { prompt: CANARY }),
      ]) {
        expect(await answer).toEqual({ type: "gone" });
      }
      expect((await job(name).fetch(new Request("https://job/"))).status).toBe(410);
      expect(await lease(name)).toEqual({ type: "ignore" });
      expect((await job(name).giveUp()).type).not.toBe("letter");
    }
    expect(await traces(name)).toBe(0);
    expect(logged.join("\n")).not.toContain(CANARY);
  });

  it("forgets the id once its key has run out", async () => {
    const { name, token } = await begun();
    await befall(name, token);
    await job(name).delete();
    for (let alarms = 0; (await stored(name)).alarm !== null && alarms < 5; alarms++) {
      await wakeWhenDue(name);
    }
    expect((await stored(name)).rows).toEqual([]);
    expect(await job(name).read(false)).toEqual({ type: "unknown" });
  });
});

describe("deleting a job that has not ended", () => {
  it("tells its subscribers that it was cancelled, and that was the end (invariant 1)", async () => {
    const { name } = await begun();
    const follower = await Follower.of(name);
    await follower.first(4);
    await job(name).delete();
    expect(await follower.end()).toBe(1000);
    const types = follower.frames.map((frame) => /"type":"(\w+)"/.exec(frame)?.[1]);
    expect(types.slice(4)).toEqual(["cancelled"]);
  });

  it("stops its attempt at the next word, whose text goes nowhere (invariant 3)", async () => {
    const { name, token } = await begun();
    await job(name).delete();
    expect(await job(name).append(token, partOf(1, CANARY))).toEqual({ go: false, watched: false });
    await job(name).complete(token, partOf(1, CANARY), ANSWER, REPORT);
    await job(name).fail(token, OUTAGE, REPORT);
    await job(name).account(token, REPORT);
    expect(await traces(name)).toBe(0);
    expect(await job(name).read(false)).toEqual({ type: "gone" });
  });

  it("is the same as deleting it twice, or at the same time as it completes", async () => {
    const { name, token } = await begun();
    await Promise.all([
      job(name).complete(token, partOf(1, CANARY), ANSWER, REPORT),
      job(name).delete(),
      job(name).delete(),
      job(name).complete(token, partOf(1, CANARY), ANSWER, REPORT),
    ]);
    expect(await traces(name)).toBe(0);
    expect(await job(name).read(false)).toEqual({ type: "gone" });
  });

  it("ends the job of nobody who has the same id later", async () => {
    const name = newName();
    await job(name).submit(specOf({ keyExpiresAt: Date.now() }), { prompt: CANARY });
    await job(name).delete();
    expect((await stored(name)).rows).toEqual([]);
    expect(await job(name).submit(specOf(), { prompt: "Anew." })).toMatchObject({
      type: "accepted",
    });
    await completed(name, "Anew.");
    expect(await traces(name)).toBe(0);
  });
});
