import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";

import { claimNamed } from "../../src/ledgers/claim-stub.ts";
import { holdClock, newName, NOTHING_STORED, passTime } from "./support.ts";

holdClock();

const MINUTE_MS = 60_000;

function keptBy(name: string) {
  return runInDurableObject(env.CLAIMS.getByName(name), async (_claim, { storage }) => ({
    rows: [...storage.kv.list()],
    tables: storage.sql.exec("SELECT name FROM sqlite_master").toArray(),
    alarm: await storage.getAlarm(),
  }));
}

/** Moves the clock to the claim's alarm and lets it ring. */
async function ringWhenDue(name: string): Promise<void> {
  const { alarm } = await keptBy(name);
  if (alarm === null) throw new Error("the claim has no alarm");
  vi.setSystemTime(Math.max(Date.now(), alarm));
  await runDurableObjectAlarm(env.CLAIMS.getByName(name));
}

describe("a claim", () => {
  it("made fifty times at once is one job's, and all are told which", async () => {
    const name = newName();
    const ids = Array.from({ length: 50 }, (_, at) => `job-${at}`);
    const told = await Promise.all(ids.map((id) => claimNamed(env, name).claim(id, MINUTE_MS)));
    expect(new Set(told).size).toBe(1);
    expect(ids).toContain(told[0]);
  });

  it("is kept until its window has passed, counted from the first claim, and is then free", async () => {
    const name = newName();
    expect(await claimNamed(env, name).claim("first", MINUTE_MS)).toBe("first");
    passTime(MINUTE_MS - 1);
    expect(await claimNamed(env, name).claim("second", MINUTE_MS)).toBe("first");
    passTime(1);
    expect(await claimNamed(env, name).claim("third", MINUTE_MS)).toBe("third");
    passTime(MINUTE_MS - 1);
    expect(await claimNamed(env, name).claim("fourth", MINUTE_MS)).toBe("third");
  });

  it("is not shortened by who asks with a shorter window, and is prolonged by a longer one", async () => {
    const name = newName();
    await claimNamed(env, name).claim("first", MINUTE_MS);
    passTime(MINUTE_MS / 2);
    expect(await claimNamed(env, name).claim("second", 1_000)).toBe("first");
    expect(await claimNamed(env, name).claim("third", 2 * MINUTE_MS)).toBe("first");
    passTime(MINUTE_MS);
    expect(await claimNamed(env, name).claim("fourth", MINUTE_MS)).toBe("first");
    passTime(MINUTE_MS / 2);
    expect(await claimNamed(env, name).claim("fifth", MINUTE_MS)).toBe("fifth");
  });

  it("survives a crash", async () => {
    const name = newName();
    await claimNamed(env, name).claim("first", MINUTE_MS);
    await abortAllDurableObjects();
    expect(await claimNamed(env, name).claim("second", MINUTE_MS)).toBe("first");
  });

  it("leaves nothing behind when its window has passed", async () => {
    const name = newName();
    await claimNamed(env, name).claim("first", MINUTE_MS);
    expect(await keptBy(name)).toMatchObject({ alarm: Date.now() + MINUTE_MS });
    await ringWhenDue(name);
    expect(await keptBy(name)).toEqual(NOTHING_STORED);
  });

  it("outlives the alarm of a claim before it", async () => {
    const name = newName();
    await claimNamed(env, name).claim("first", MINUTE_MS);
    passTime(MINUTE_MS);
    await claimNamed(env, name).claim("second", MINUTE_MS);
    await runDurableObjectAlarm(env.CLAIMS.getByName(name));
    expect(await claimNamed(env, name).claim("third", MINUTE_MS)).toBe("second");
    await ringWhenDue(name);
    expect(await keptBy(name)).toEqual(NOTHING_STORED);
  });

  it("is given up by its holder and by nobody else", async () => {
    const name = newName();
    await claimNamed(env, name).claim("first", MINUTE_MS);
    await claimNamed(env, name).release("second");
    expect(await claimNamed(env, name).claim("second", MINUTE_MS)).toBe("first");
    await claimNamed(env, name).release("first");
    expect(await keptBy(name)).toEqual(NOTHING_STORED);
    expect(await claimNamed(env, name).claim("second", MINUTE_MS)).toBe("second");
  });

  it("that nobody has made is given up without a trace", async () => {
    const name = newName();
    await claimNamed(env, name).release("first");
    expect(await keptBy(name)).toEqual(NOTHING_STORED);
  });
});
