import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import type { TenantRpc } from "../../src/ledgers/tenant-rpc.ts";
import { tenantNamed } from "../../src/ledgers/tenant-stub.ts";
import { holdClock, logged, newName, passTime } from "./support.ts";

holdClock();

const HOUR_S = 3_600;
const HOUR_MS = HOUR_S * 1_000;
const SECRET = /^whsec_[A-Za-z0-9+/]{43}=$/;
const OLD_ROOT = { SIGNING_KEY: "old-root-canary-0123456789-0123456789" };
const NEW_ROOT = { SIGNING_KEY: "new-root-canary-0123456789-0123456789" };
const BOTH_ROOTS = {
  ...NEW_ROOT,
  AUTH_MODE: "keys",
  PREVIOUS_SIGNING_KEY: OLD_ROOT.SIGNING_KEY,
};

function tenant(name: string): TenantRpc {
  return tenantNamed(env, name);
}

/** The secrets it signs with, newest first. */
async function valid(name: string): Promise<string[]> {
  const secrets = await tenant(name).webhookSecrets();
  return secrets === null ? [] : [secrets.newest, ...secrets.older];
}

function keptBy(name: string) {
  return runInDurableObject(env.TENANTS.getByName(name), async (_tenant, { storage }) => ({
    rows: [...storage.kv.list()],
    alarm: await storage.getAlarm(),
  }));
}

/** The object as it is in memory, until it is evicted, with these settings. */
async function configure(name: string, settings: Record<string, string>): Promise<void> {
  await runInDurableObject(env.TENANTS.getByName(name), (object) => {
    const value = { ...env, ...settings };
    Object.defineProperty(object, "env", { value, configurable: true });
  });
}

describe("a tenant's webhook secrets", () => {
  it("are one, of 32 random bytes, before anybody has asked for one, and stay so", async () => {
    const name = newName();
    const secrets = await valid(name);
    expect(secrets).toEqual([expect.stringMatching(SECRET)]);
    expect(await valid(name)).toEqual(secrets);
    await abortAllDurableObjects();
    expect(await valid(name)).toEqual(secrets);
  });

  it("are the same for all who are the first at once", async () => {
    const name = newName();
    const asked = await Promise.all(Array.from({ length: 50 }, () => valid(name)));
    expect(new Set(asked.map((secrets) => secrets.join()))).toEqual(
      new Set([(await valid(name)).join()]),
    );
    expect(asked[0]).toHaveLength(1);
  });

  it("are another for each tenant", async () => {
    const [one] = await valid(newName());
    const [other] = await valid(newName());
    expect(one).not.toBe(other);
  });

  it("are never kept in the clear, nor logged", async () => {
    const name = newName();
    const { secret } = await tenant(name).rotateWebhookSecret(HOUR_S);
    await tenant(name).rotateWebhookSecret(HOUR_S);
    const { rows, alarm } = await keptBy(name);
    expect(alarm).toBeNull();
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).toContain("v1.");
    const bytes = secret.slice("whsec_".length, -1);
    expect(JSON.stringify([rows, logged])).not.toContain(bytes);
  });

  it("that are another tenant's, whose row has strayed here, do not open", async () => {
    const [one, other] = [newName(), newName()];
    const [strayed] = await valid(one);
    const { rows } = await keptBy(one);
    await runInDurableObject(env.TENANTS.getByName(other), (_tenant, { storage }) => {
      for (const [key, value] of rows) storage.kv.put(key, value);
    });
    expect(strayed).toMatch(SECRET);
    expect(await tenant(other).webhookSecrets()).toBeNull();
  });
});

describe("a rotation", () => {
  it("makes the first, with none before it", async () => {
    const name = newName();
    const { secret, previousValidUntil } = await tenant(name).rotateWebhookSecret(HOUR_S);
    expect(previousValidUntil).toBeNull();
    expect(await valid(name)).toEqual([secret]);
  });

  it("leaves the one before valid for the overlap, newest first, and forgets it then", async () => {
    const name = newName();
    const [before] = await valid(name);
    const { secret, previousValidUntil } = await tenant(name).rotateWebhookSecret(HOUR_S);
    expect(secret).toMatch(SECRET);
    expect(previousValidUntil).toBe(Date.now() + HOUR_MS);
    expect(await valid(name)).toEqual([secret, before]);
    passTime(HOUR_MS - 1);
    expect(await valid(name)).toEqual([secret, before]);
    passTime(1);
    expect(await valid(name)).toEqual([secret]);
    const { secret: next } = await tenant(name).rotateWebhookSecret(0);
    expect(await valid(name)).toEqual([next]);
    const [[, row] = []] = (await keptBy(name)).rows;
    expect(row).toHaveLength(1);
  });

  it("with no overlap ends all before it at once", async () => {
    const name = newName();
    await tenant(name).rotateWebhookSecret(HOUR_S);
    await tenant(name).rotateWebhookSecret(HOUR_S);
    const { secret, previousValidUntil } = await tenant(name).rotateWebhookSecret(0);
    expect(previousValidUntil).toBeNull();
    expect(await valid(name)).toEqual([secret]);
  });

  it("however often it is asked for at once, loses none and leaves five", async () => {
    const name = newName();
    const rotations = Array.from({ length: 8 }, () => tenant(name).rotateWebhookSecret(HOUR_S));
    const made = (await Promise.all(rotations)).map(({ secret }) => secret);
    expect(new Set(made).size).toBe(8);
    const left = await valid(name);
    expect(left).toHaveLength(5);
    expect(made).toEqual(expect.arrayContaining(left));
  });
});

describe("when the root is replaced", () => {
  it("secrets stay as they were, and are sealed anew when they are used, so the old root may go", async () => {
    const name = newName();
    await configure(name, OLD_ROOT);
    await tenant(name).rotateWebhookSecret(HOUR_S);
    await tenant(name).rotateWebhookSecret(HOUR_S);
    const secrets = await valid(name);
    await configure(name, BOTH_ROOTS);
    const used = await Promise.all([1, 2, 3].map(() => valid(name)));
    expect(used).toEqual([secrets, secrets, secrets]);
    await configure(name, NEW_ROOT);
    expect(await valid(name)).toEqual(secrets);
    passTime(HOUR_MS);
    expect(await valid(name)).toEqual(secrets.slice(0, 1));
  });

  it("and the old one is lost, nothing is signed, and nothing thrown away, until it is back or another is made", async () => {
    const name = newName();
    await configure(name, OLD_ROOT);
    const { secret: lost } = await tenant(name).rotateWebhookSecret(HOUR_S);
    await configure(name, NEW_ROOT);
    const before = logged.length;
    expect(await tenant(name).webhookSecrets()).toBeNull();
    expect(logged.slice(before)).toEqual([
      JSON.stringify({ event: "webhook_secret.unreadable", object: name }),
    ]);
    await configure(name, OLD_ROOT);
    expect(await valid(name)).toEqual([lost]);
    await configure(name, NEW_ROOT);
    const { secret } = await tenant(name).rotateWebhookSecret(HOUR_S);
    expect(await valid(name)).toEqual([secret]);
  });
});
