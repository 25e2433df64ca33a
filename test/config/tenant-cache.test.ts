import { beforeEach, describe, expect, it } from "vitest";

import type { TenantRecord } from "../../src/domain/tenant-record.ts";
import { TenantCache } from "../../src/tenants/tenant-cache.ts";

const MAX_AGE_MS = 60_000;

/** Tenants as their objects know them, which may be out of reach. */
const world = {
  now: 0,
  tenants: new Map<string, TenantRecord>(),
  asked: [] as string[],
  broken: false,
};
/** What was left to be done after an answer. */
let left: Promise<void>[] = [];
let cache: TenantCache;

beforeEach(() => {
  Object.assign(world, { now: 1_000_000, tenants: new Map(), asked: [], broken: false });
  left = [];
  cache = new TenantCache({
    read: async (tenant) => {
      world.asked.push(tenant);
      if (world.broken) throw new Error("overloaded");
      return world.tenants.get(tenant) ?? null;
    },
    now: () => world.now,
    maxAgeMs: MAX_AGE_MS,
  });
  be("acme", "pro");
});

function be(tenant: string, tier: TenantRecord["tier"]): TenantRecord {
  const record = { tenant, tier, limits: {}, createdAt: 0, keys: [] };
  world.tenants.set(tenant, record);
  return record;
}

function get(tenant: string, maxAgeMs?: number) {
  return cache.get(tenant, (work) => left.push(work), maxAgeMs);
}

async function tierOf(tenant: string): Promise<string | undefined> {
  return (await get(tenant))?.tier;
}

describe("what is known of a tenant", () => {
  it("is asked for once, and costs no round trip while it is fresh", async () => {
    for (const age of [0, 1, 19_999]) {
      world.now = 1_000_000 + age;
      expect(await tierOf("acme")).toBe("pro");
    }
    expect([world.asked, left]).toEqual([["acme"], []]);
  });

  it("that is no longer fresh serves at once, and is asked for in passing, by one of all", async () => {
    await get("acme");
    be("acme", "free");
    world.now += 20_000;
    const tiers = await Promise.all([tierOf("acme"), tierOf("acme"), tierOf("acme")]);
    expect(tiers).toEqual(["pro", "pro", "pro"]);
    expect(left).toHaveLength(1);
    await Promise.all(left);
    expect(await tierOf("acme")).toBe("free");
    expect(world.asked).toHaveLength(2);
  });

  it("is never used when it is older than it may be: who comes then waits for what is true", async () => {
    await get("acme");
    be("acme", "free");
    world.now += MAX_AGE_MS;
    expect(await tierOf("acme")).toBe("free");
    expect(left).toEqual([]);
  });

  it("serves while its object is out of reach, and is refused once it is too old (fails closed)", async () => {
    await get("acme");
    world.broken = true;
    world.now += MAX_AGE_MS - 1;
    expect(await tierOf("acme")).toBe("pro");
    await Promise.all(left);
    world.now += 1;
    await expect(get("acme")).rejects.toThrow("overloaded");
    await expect(get("nobody")).rejects.toThrow("overloaded");
  });

  it("that there is none is known as well, until somebody wants to know it better", async () => {
    expect(await get("newcomer")).toBeNull();
    expect(await get("newcomer")).toBeNull();
    expect(world.asked).toHaveLength(1);
    be("newcomer", "free");
    world.now += 2_000;
    expect(await get("newcomer")).toBeNull();
    expect((await get("newcomer", 2_000))?.tier).toBe("free");
    expect(await tierOf("newcomer")).toBe("free");
  });

  it("is not pushed out by names that are tried, nor are those kept without bound", async () => {
    await get("acme");
    for (let at = 0; at <= 1_000; at++) await get(`guess-${at}`);
    world.asked = [];
    await get("acme");
    await get("guess-1000");
    expect(world.asked).toEqual([]);
    await get("guess-0");
    expect(world.asked).toEqual(["guess-0"]);
  });

  it("is what was learnt last, whatever comes late", async () => {
    const before = be("acme", "free");
    const after = be("acme", "enterprise");
    cache.put("acme", after, world.now);
    cache.put("acme", before, world.now - 1);
    expect(await tierOf("acme")).toBe("enterprise");
    cache.put("acme", null, world.now - 1);
    expect(await tierOf("acme")).toBe("enterprise");
    expect(world.asked).toEqual([]);
  });
});
