import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import type { JobSpec } from "../../src/domain/job.ts";
import {
  ANSWER,
  DAY_MS,
  deadLetter,
  holdClock,
  job,
  lease,
  leased,
  logged,
  newName,
  NOTHING_STORED,
  objectOf,
  OUTAGE,
  partOf,
  passTime,
  queues,
  REPORT,
  REQUEST,
  specOf,
  stored,
  wakeWhenDue,
} from "./support.ts";

holdClock();

const CANARY = "canary-7f3e";
const SHORT = { retentionMs: 60_000, failedRetentionMs: 60_000 };

/** A job in whose every corner the canary sits: prompt, text of two attempts, tool call, user, metadata. */
async function withCanaries(overrides: Partial<JobSpec> = SHORT): Promise<string> {
  const name = newName();
  const spec = specOf({ user: CANARY, metadata: { note: CANARY }, ...overrides });
  await job(name).submit(spec, { messages: [{ role: "user", content: `Keep ${CANARY}` }] });
  for (const last of [false, true]) {
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, `The ${CANARY} `));
    const tool_calls = [
      { id: "1", type: "function" as const, function: { name: "sing", arguments: CANARY } },
    ];
    if (last) {
      await job(name).complete(token, partOf(1, CANARY), { ...ANSWER, tool_calls }, REPORT);
    } else await job(name).fail(token, OUTAGE, REPORT);
    passTime(10_000);
  }
  return name;
}

async function traces(name: string): Promise<number> {
  return JSON.stringify(await stored(name)).split(CANARY).length - 1;
}

describe("a job whose retention is over", () => {
  it("is purged by its alarm: nothing it was asked or answered is left", async () => {
    const name = await withCanaries();
    expect(await traces(name)).toBeGreaterThan(6);
    while ((await job(name).read(false)).type === "found") await wakeWhenDue(name);
    expect(await traces(name)).toBe(0);
    expect((await stored(name)).rows).toHaveLength(1);
  });

  it("is gone to every reader, the next moment, even if the alarm is late", async () => {
    const name = await withCanaries();
    passTime(60_000);
    expect(await job(name).read(true)).toEqual({ type: "gone" });
    expect(await job(name).log(0)).toEqual({ type: "gone" });
    expect(await job(name).cancel("too late")).toEqual({ type: "gone" });
    expect(await job(name).submit(specOf(), REQUEST)).toEqual({ type: "gone" });
    expect((await job(name).fetch(new Request("https://job/"))).status).toBe(410);
    expect(await lease(name)).toEqual({ type: "ignore" });
    expect(await traces(name)).toBe(0);
  });

  it("is gone until its key has run out, and then forgotten to the last row", async () => {
    const name = await withCanaries();
    const { keyExpiresAt } = specOf();
    passTime(60_000);
    expect(await job(name).read(false)).toEqual({ type: "gone" });
    await evictDurableObject(objectOf(name));
    for (let alarms = 0; (await stored(name)).alarm !== null && alarms < 10; alarms++) {
      expect(await job(name).read(false)).toEqual({ type: "gone" });
      await wakeWhenDue(name);
    }
    expect(Date.now()).toBeGreaterThan(keyExpiresAt - 60_000);
    expect(await stored(name)).toMatchObject({ rows: [], alarm: null });
    expect(await job(name).read(false)).toEqual({ type: "unknown" });
  });

  it("is forgotten at once where its key has run out before", async () => {
    const name = await withCanaries({ retentionMs: 3 * DAY_MS });
    passTime(2 * DAY_MS);
    expect(await job(name).read(false)).toMatchObject({ type: "found" });
    passTime(DAY_MS);
    expect(await job(name).read(false)).toEqual({ type: "unknown" });
    expect(await stored(name)).toMatchObject({ rows: [], alarm: null });
  });

  it("was kept for as long as its kind of end is kept", async () => {
    const spec = { retentionMs: 60_000, failedRetentionMs: 120_000 };
    for (const [end, keptMs] of [
      [(name: string) => job(name).cancel("enough"), 60_000],
      [deadLetter, 120_000],
    ] as const) {
      const name = newName();
      await job(name).submit(specOf(spec), REQUEST);
      await end(name);
      passTime(keptMs - 1);
      expect(await job(name).read(false)).toMatchObject({ type: "found" });
      passTime(1);
      expect(await job(name).read(false)).toEqual({ type: "gone" });
    }
  });

  it("has left nothing of its content in any log line or message (invariant 9)", async () => {
    const name = await withCanaries();
    while ((await stored(name)).alarm !== null) await wakeWhenDue(name);
    expect(logged.length).toBeGreaterThan(5);
    expect([logged, queues.sent].map((told) => JSON.stringify(told)).join("")).not.toContain(
      CANARY,
    );
  });
});

describe("an id that was forgotten", () => {
  it("can be submitted anew, with another payload and nothing of the old log", async () => {
    const name = await withCanaries();
    passTime(2 * DAY_MS);
    const again = await job(name).submit(specOf({ fingerprint: "sha-of-another" }), REQUEST);
    expect(again).toMatchObject({ type: "accepted", view: { last_seq: 1, attempts_made: 0 } });
    const { token } = await leased(name);
    await job(name).complete(token, partOf(0, "Anew."), ANSWER, REPORT);
    expect(await job(name).read(false)).toMatchObject({ value: { result: { content: "Anew." } } });
    expect(await traces(name)).toBe(0);
  });

  it.each([
    ["at once, by the submission itself", () => Promise.resolve()],
    ["by a reader, before", (name: string) => job(name).read(false)],
  ])(
    "and submitted anew has an alarm of its own, forgotten %s (invariant 2)",
    async (_when, forget) => {
      const name = await withCanaries({ retentionMs: 3 * DAY_MS });
      passTime(4 * DAY_MS);
      await forget(name);
      await job(name).submit(specOf(), REQUEST);
      expect((await stored(name)).alarm).toBe(Date.now() + 30_000);
    },
  );

  it("and submitted anew has an alarm of its own, forgotten by its alarm (invariant 2)", async () => {
    const name = await withCanaries();
    while ((await stored(name)).alarm !== null) await wakeWhenDue(name);
    await job(name).submit(specOf(), REQUEST);
    expect((await stored(name)).alarm).toBe(Date.now() + 30_000);
  });
});

describe("an id that is unknown again", () => {
  it("stores nothing when it is read after its object was evicted", async () => {
    const name = await withCanaries();
    while ((await stored(name)).alarm !== null) await wakeWhenDue(name);
    await evictDurableObject(objectOf(name));
    expect(await job(name).read(false)).toEqual({ type: "unknown" });
    expect(await stored(name)).toEqual(NOTHING_STORED);
  });
});
