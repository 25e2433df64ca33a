import { runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { shardNamed } from "./shard.ts";
import { DAY_MS, holdClock, newName, passTime } from "./support.ts";

const SECOND = 1_000;

holdClock({ ledgersToo: false });
let shard: ReturnType<typeof shardNamed>;
beforeEach(() => {
  shard = shardNamed(newName());
  vi.setSystemTime(Math.ceil(Date.now() / DAY_MS) * DAY_MS);
});

const completedEver = async () => (await shard.total()).ever.tallied.completed;

describe("the total", () => {
  it("is of all that was ever told, however long ago, and says since when", async () => {
    const since = Date.now();
    await shard.end();
    passTime(3 * DAY_MS);
    await shard.end({ tenant: "globex" });
    const { ever } = await shard.total();
    expect(ever).toMatchObject({ since, tallied: { completed: 2 } });
    expect([...ever.tallied.shares.values()]).toMatchObject([{ tenant: "", jobs: 2 }]);
    expect((await shard.count(86_400)).tallied.completed).toBe(1);
  });

  it("holds what is written only, so that it is never less than it was, whatever is lost", async () => {
    await shard.end();
    passTime(SECOND);
    await shard.end();
    expect(await completedEver()).toBe(1);
    await shard.evict();
    expect(await completedEver()).toBe(1);
    passTime(5 * SECOND);
    await shard.end();
    await shard.evict();
    expect(await completedEver()).toBe(2);
  });

  it("begins when a shard of an older version, which kept none, is next told something", async () => {
    await shard.end();
    await runInDurableObject(shard.object(), (_stats, { storage }) => {
      const { ever: _, ...open } = storage.kv.get<Record<string, unknown>>("open") ?? {};
      storage.kv.put("open", open);
    });
    await shard.evict();
    expect(await shard.total()).toMatchObject({ ever: { since: null, tallied: { completed: 0 } } });
    passTime(60 * SECOND);
    await shard.end();
    expect((await shard.total()).ever).toMatchObject({ since: Date.now() });
    expect(await completedEver()).toBe(1);
    expect((await shard.count()).tallied.completed).toBe(2);
  });

  it("can be asked of a shard that was never told anything, which keeps nothing of it", async () => {
    expect(await shard.total()).toMatchObject({ ever: { since: null } });
    expect(await shard.stored()).toEqual({ keys: [], alarm: null });
  });
});
