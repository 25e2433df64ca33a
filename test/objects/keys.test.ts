import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { hashOf, isCurrentHash, isKeyOf, makeApiKey } from "../../src/secrets/api-key-hash.ts";
import { parseConfig } from "../../src/settings/config.ts";
import { parseApiKey } from "../../src/domain/api-key.ts";
import { MAX_KEYS, type KeptKey } from "../../src/domain/tenant-record.ts";
import { tenantName } from "../../src/ids.ts";
import type { TenantRpc } from "../../src/ledgers/tenant-rpc.ts";
import { tenantNamed } from "../../src/ledgers/tenant-stub.ts";
import { holdClock, passTime } from "./support.ts";

holdClock();

const OLD = parseConfig({ SIGNING_KEY: "old-root-canary-0123456789-0123456789" });
const NEW = parseConfig({ SIGNING_KEY: "new-root-canary-0123456789-0123456789" });
const BOTH = parseConfig({
  SIGNING_KEY: "new-root-canary-0123456789-0123456789",
  PREVIOUS_SIGNING_KEY: "old-root-canary-0123456789-0123456789",
});

let tenants = 0;

/** A tenant nobody else has, created unless told otherwise. */
async function newTenant({ created = true } = {}) {
  tenants += 1;
  const tenant = `tenant-${tenants}`;
  const object = await objectOf(tenant);
  if (created) await object.create(tenant, "pro");
  return { tenant, object };
}

async function objectOf(tenant: string): Promise<TenantRpc> {
  return tenantNamed(env, await tenantName(tenant));
}

function key(id: string, expiresAt: number | null = null): KeptKey {
  return { id, hash: `v1.${id}`, scopes: ["jobs:read"], createdAt: Date.now(), expiresAt };
}

async function idsOf({ tenant, object }: { tenant: string; object: TenantRpc }) {
  return (await object.record(tenant))?.keys.map(({ id }) => id);
}

async function rowsOf(tenant: string): Promise<unknown[]> {
  const stub = env.TENANTS.getByName(await tenantName(tenant));
  return runInDurableObject(stub, (_object, { storage }) => [...storage.kv.list()]);
}

describe("the hash of a key", () => {
  it("knows its key and no other, and holds nothing of it", async () => {
    const [one, two] = [await makeApiKey(NEW, "acme"), await makeApiKey(NEW, "acme")];
    expect(parseApiKey(one.key)).toEqual({ environment: "live", tenant: "acme", keyId: one.id });
    expect(await isKeyOf(NEW, one.key, one.hash)).toBe(true);
    expect(await isKeyOf(NEW, two.key, one.hash)).toBe(false);
    expect(one.hash).not.toContain(one.key.split("_").at(-1));
  });

  it.each([null, "", "v1.", "v1.aaaaaaaa.", `v1.aaaaaaaa.${"A".repeat(43)}`])(
    "that is none (%j) is nobody's",
    async (hash) => {
      const { key } = await makeApiKey(NEW, "acme");
      expect(await isKeyOf(NEW, key, hash)).toBe(false);
    },
  );

  it("is good under the root before, is told apart, and under another root is nobody's", async () => {
    const { key, hash } = await makeApiKey(OLD, "acme");
    expect(await isKeyOf(BOTH, key, hash)).toBe(true);
    expect(await isCurrentHash(BOTH, hash)).toBe(false);
    expect(await isKeyOf(NEW, key, hash)).toBe(false);
    const anew = await hashOf(BOTH, key);
    expect(await isCurrentHash(BOTH, anew)).toBe(true);
    expect(await isKeyOf(NEW, key, anew)).toBe(true);
  });
});

describe("a tenant", () => {
  it("that was never created is unknown, whatever is asked of it, and leaves nothing behind", async () => {
    const { tenant, object } = await newTenant({ created: false });
    expect(await object.record(tenant)).toBeNull();
    expect(await object.change(tenant, { tier: "free" })).toBeNull();
    expect(await object.addKey(tenant, key("a"))).toEqual({ type: "no_tenant" });
    expect(await object.rotateKey(tenant, "a", key("b"), 60)).toEqual({ type: "no_tenant" });
    expect(await object.revokeKey(tenant, "a")).toBeNull();
    expect(await object.rehashKey(tenant, "a", { from: "v1.a", to: "v1.b" })).toBeNull();
    expect(await rowsOf(tenant)).toEqual([]);
  });

  it("is created once, however many create it at once, and is as the first has said", async () => {
    const { tenant, object } = await newTenant({ created: false });
    const tiers = ["free", "pro", "enterprise", "default"] as const;
    const made = await Promise.all(tiers.map((tier) => object.create(tenant, tier)));
    expect(made.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(new Set(made.map(({ record }) => record.tier)).size).toBe(1);
  });

  it("outlives its object's memory, keys and all", async () => {
    const { tenant, object } = await newTenant();
    await object.addKey(tenant, key("a"));
    await object.change(tenant, { limits: { maxQueued: 3 } });
    const before = await object.record(tenant);
    await abortAllDurableObjects();
    expect(await (await objectOf(tenant)).record(tenant)).toEqual(before);
    expect(before).toMatchObject({ tier: "pro", limits: { maxQueued: 3 }, keys: [key("a")] });
  });

  it("whose row has strayed into the object of another is not the other", async () => {
    const [one, other] = [await newTenant(), await newTenant({ created: false })];
    const rows = (await rowsOf(one.tenant)) as [string, unknown][];
    const stub = env.TENANTS.getByName(await tenantName(other.tenant));
    await runInDurableObject(stub, (_object, { storage }) => {
      for (const [name, value] of rows) storage.kv.put(name, value);
    });
    expect(await other.object.record(other.tenant)).toBeNull();
    expect(await other.object.addKey(other.tenant, key("a"))).toEqual({ type: "no_tenant" });
  });

  it("loses no key of those that are made, rotated and revoked at once", async () => {
    const acme = await newTenant();
    const { tenant, object } = acme;
    for (const id of ["stays", "turns", "goes"]) await object.addKey(tenant, key(id));
    await Promise.all([
      ...["a", "b", "c", "d"].map((id) => object.addKey(tenant, key(id))),
      object.rotateKey(tenant, "turns", key("turned"), 60),
      object.revokeKey(tenant, "goes"),
      object.change(tenant, { tier: "free" }),
    ]);
    const left = await idsOf(acme);
    expect(left?.toSorted()).toEqual(["a", "b", "c", "d", "stays", "turned", "turns"]);
    expect((await object.record(tenant))?.tier).toBe("free");
  });

  it("has at most so many keys, and the same key twice is one", async () => {
    const { tenant, object } = await newTenant();
    for (let at = 0; at < MAX_KEYS; at++) await object.addKey(tenant, key(`${at}`));
    expect(await object.addKey(tenant, key("more"))).toEqual({ type: "full" });
    expect(await object.rotateKey(tenant, "0", key("more"), 60)).toEqual({ type: "full" });
    expect(await object.addKey(tenant, key("1"))).toMatchObject({ type: "kept" });
    // Ended at once, the one before makes room for the one after.
    expect(await object.rotateKey(tenant, "0", key("more"), 0)).toMatchObject({ type: "kept" });
  });

  it("keeps a rotated key's scopes for the new one, and the key itself for the overlap", async () => {
    const { tenant, object } = await newTenant();
    await object.addKey(tenant, { ...key("a"), scopes: ["webhooks"] });
    const { scopes: _, ...made } = key("b");
    expect(await object.rotateKey(tenant, "a", made, 60)).toMatchObject({
      record: {
        keys: [
          { id: "a", expiresAt: Date.now() + 60_000 },
          { id: "b", scopes: ["webhooks"], expiresAt: null },
        ],
      },
    });
    passTime(60_000);
    expect(await object.rotateKey(tenant, "a", key("c"), 60)).toEqual({ type: "no_key" });
    expect(await object.rotateKey(tenant, "none", key("c"), 60)).toEqual({ type: "no_key" });
  });
});
