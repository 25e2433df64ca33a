import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { totalOf } from "../../src/domain/stats.ts";
import { windowOf } from "../../src/domain/window.ts";
import {
  readStats,
  readTotal,
  SHARDS,
  statsShardOf,
  tellStats,
} from "../../src/ledgers/stats-stub.ts";
import { ENDED, later, shardNamed, STARTED } from "./shard.ts";
import { DAY_MS, holdClock, logged, newName, passTime } from "./support.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

holdClock({ ledgersToo: false });
let shard: ReturnType<typeof shardNamed>;
beforeEach(() => {
  shard = shardNamed(newName());
  vi.setSystemTime(Math.ceil(Date.now() / DAY_MS) * DAY_MS);
});

describe("what the jobs tell", () => {
  it("is counted at once", async () => {
    await shard.start();
    await shard.retry();
    await shard.start({ queueMs: null });
    await shard.end();
    const { tallied } = await shard.count();
    expect(tallied).toMatchObject({ started: 1, completed: 1, failed: 0 });
    expect(tallied.retriedFor).toEqual(new Map([["timeout", 1]]));
    expect(totalOf(tallied)).toMatchObject({ jobs: 1, costNano: 1_100_000 });
  });

  it("is kept over an eviction once it is written: at once after a pause, else within five seconds", async () => {
    await shard.start();
    expect((await shard.stored()).alarm).toBeNull();
    const writtenAt = Date.now();
    passTime(2 * SECOND);
    await shard.end();
    expect((await shard.stored()).alarm).toBe(writtenAt + 5 * SECOND);
    passTime(3 * SECOND);
    await shard.alarm();
    await shard.evict();
    expect((await shard.count()).tallied).toMatchObject({ started: 1, completed: 1 });
  });

  it("is lost in a crash for the last seconds at most, and never counted twice", async () => {
    await shard.start();
    passTime(SECOND);
    await shard.end();
    await shard.evict();
    expect((await shard.count()).tallied).toMatchObject({ started: 1, completed: 0 });
    await shard.end();
    await shard.evict();
    expect((await shard.count()).tallied).toMatchObject({ started: 1, completed: 1 });
  });

  it("is one row while its minute runs, then one more for each minute and each hour", async () => {
    for (let told = 0; told < 50; told++) {
      await shard.end();
      passTime(SECOND);
    }
    expect((await shard.stored()).keys).toEqual(["open"]);
    passTime(MINUTE);
    await shard.end();
    expect((await shard.stored()).keys).toEqual(["hour", "minute", "open"]);
    expect((await shard.count()).tallied.completed).toBe(51);
  });

  it("stays what it was when the minute turns, whatever is evicted between", async () => {
    for (let told = 1; told <= 30; told++) {
      await shard.end();
      passTime(20 * SECOND);
      if (told % 4 === 0) await shard.evict();
      expect((await shard.count()).tallied.completed).toBe(told);
      expect((await shard.count(86_400)).tallied.completed).toBe(told);
    }
  });

  it("is counted once though the object is lost just as the minute has turned", async () => {
    passTime(50 * SECOND);
    await shard.end();
    passTime(8 * SECOND);
    await shard.end();
    passTime(3 * SECOND);
    for (let told = 3; told <= 5; told++) {
      await shard.end();
      await shard.evict();
      expect((await shard.count()).tallied.completed).toBe(told);
      passTime(MINUTE);
    }
  });

  it("is not lost to a clock that goes back", async () => {
    await shard.end();
    passTime(-5 * MINUTE);
    await shard.end();
    passTime(6 * MINUTE);
    await shard.end();
    expect((await shard.count()).tallied.completed).toBe(3);
  });
});

describe("a window", () => {
  it("holds what was told in it, by the minute for an hour and by the hour for a day", async () => {
    await shard.end();
    passTime(30 * MINUTE);
    await shard.end();
    const completed = async (seconds: number) => (await shard.count(seconds)).tallied.completed;
    expect([await completed(60), await completed(3_600)]).toEqual([1, 2]);
    passTime(31 * MINUTE);
    expect([await completed(60), await completed(3_600), await completed(7_200)]).toEqual([
      0, 1, 2,
    ]);
    passTime(12 * HOUR);
    await shard.end();
    expect([await completed(3_600), await completed(86_400)]).toEqual([1, 3]);
    passTime(DAY_MS);
    expect(await completed(86_400)).toBe(1);
  });

  it("can be asked of a shard that was never told anything, which keeps nothing of it", async () => {
    expect(await shard.count(86_400)).toMatchObject({ tallied: { started: 0 } });
    expect(await shard.stored()).toEqual({ keys: [], alarm: null });
  });
});

it("what no window can hold any more is deleted", async () => {
  for (let hour = 0; hour < 40; hour++) {
    await shard.end();
    passTime(HOUR);
  }
  const { keys } = await shard.stored();
  expect(keys.filter((key) => key === "minute").length).toBeLessThanOrEqual(61);
  expect(keys.filter((key) => key === "hour").length).toBeLessThanOrEqual(25);
  passTime(2 * DAY_MS);
  await shard.end();
  passTime(2 * DAY_MS);
  await shard.end();
  expect((await shard.stored()).keys).toEqual(["open"]);
});

describe("active jobs", () => {
  it("are those that have started and not ended, by lane, over an eviction too", async () => {
    await shard.start({ job: "a", lane: "high" });
    await shard.start({ job: "b", lane: "long" });
    await shard.start({ job: "c", lane: "long" });
    await shard.end({ job: "b" });
    const expected = { high: 1, normal: 0, low: 0, long: 1 };
    expect((await shard.count()).active).toEqual(expected);
    passTime(5 * SECOND);
    await shard.alarm();
    await shard.evict();
    expect((await shard.count()).active).toEqual(expected);
  });

  it("are one job each, however many attempts it makes", async () => {
    await shard.start();
    await shard.start({ queueMs: null });
    expect((await shard.count()).active.normal).toBe(1);
  });

  it("are not those that wait for another attempt", async () => {
    await shard.start();
    await shard.retry();
    expect((await shard.count()).active.normal).toBe(0);
    await shard.start({ queueMs: null });
    expect((await shard.count()).active.normal).toBe(1);
  });

  it("are forgotten when their time is over for certain, should nobody tell of their end", async () => {
    await shard.start();
    passTime(149 * SECOND);
    expect((await shard.count()).active.normal).toBe(1);
    passTime(SECOND);
    expect((await shard.count()).active.normal).toBe(0);
  });
});

describe("the shards together", () => {
  it("count what each was told, with its names", async () => {
    const jobs = Array.from({ length: 40 }, newName);
    for (const job of jobs) await tellStats(env, { ...STARTED, ...later(), job });
    for (const job of jobs.slice(10)) await tellStats(env, { ...ENDED, job });
    const { tallied, active, missing } = await readStats(env, windowOf(3_600, Date.now()));
    expect(tallied).toMatchObject({ started: 40, completed: 30 });
    expect(active.normal).toBe(10);
    expect(missing).toBe(0);
    expect([...tallied.shares.values()]).toMatchObject([{ tenant: "acme", jobs: 30 }]);
    const total = await readTotal(env);
    expect(total).toMatchObject({ active: { normal: 10 }, missing: 0 });
    expect(total.ever.since).not.toBeNull();
  });

  it("share the jobs evenly, and a job always has the same", () => {
    const counts = Array.from({ length: SHARDS }, () => 0);
    for (let at = 0; at < 8_000; at++) {
      const shard = statsShardOf(`job-${at}`);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    for (const count of counts) expect(count).toBeGreaterThan(800);
    expect(statsShardOf("job-1")).toBe(statsShardOf("job-1"));
  });

  it("that cannot be reached fail nobody: what is told is let go, and what is missing is said", async () => {
    const failing = new Proxy({}, { get: () => () => Promise.reject(new Error("overloaded")) });
    const STATS = {
      getByName: (name: string) => (name === "stats-0" ? failing : env.STATS.getByName(name)),
    } as unknown as Env["STATS"];
    const job = Array.from({ length: 100 }, (_, at) => `job-${at}`).find(
      (job) => statsShardOf(job) === 0,
    );
    await tellStats({ ...env, STATS }, { ...ENDED, job: job ?? "" });
    expect(logged.at(-1)).toContain("stats.untold");
    const { missing } = await readStats({ ...env, STATS }, windowOf(60, Date.now()));
    expect(missing).toBe(1);
    expect((await readTotal({ ...env, STATS })).missing).toBe(1);
  });
});
