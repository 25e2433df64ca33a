import { isDeepStrictEqual } from "node:util";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  claimName,
  fingerprintOf,
  gateName,
  IDEMPOTENCY_KEY,
  JOB_ID,
  jobIdFor,
  LISTING_SHARDS,
  objectName,
  randomToken,
  shardName,
  shardOf,
  tenantName,
} from "../../src/ids.ts";
import type { CreateJob } from "../../src/schema/job.ts";

/** The same value with every object's keys in the opposite order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toReversed();
  return Object.fromEntries(entries.map(([key, inner]) => [key, turned(inner)]));
}

function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe("a fingerprint", () => {
  it("is the same in whatever order a request says what it says", async () => {
    const property = fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), async (request) => {
      expect(await fingerprintOf(turned(request))).toBe(await fingerprintOf(request));
    });
    await fc.assert(property, { numRuns: 200 });
  });

  it("is another for every other request", async () => {
    const requests = fc.tuple(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 3 }));
    const property = fc.asyncProperty(requests, async ([one, other]) => {
      const same = (await fingerprintOf(one)) === (await fingerprintOf(other));
      // As JSON has them: it knows no -0.
      expect(same).toBe(isDeepStrictEqual(asJson(one), asJson(other)));
    });
    await fc.assert(property, { numRuns: 200 });
  });

  it.each([
    ["another prompt", { prompt: "a" }, { prompt: "b" }],
    ["a prompt under another name", { prompt: "a" }, { user: "a" }],
    ["a number written as text", { seed: 1 }, { seed: "1" }],
    ["another order of a list", { stop: ["a", "b"] }, { stop: ["b", "a"] }],
    ["a list instead of its one element", { stop: ["a"] }, { stop: "a" }],
    ["the same fields one level deeper", { a: { b: 1, c: 2 } }, { a: { b: 1 }, c: 2 }],
    ["null instead of nothing", { user: null }, {}],
  ])("tells %s", async (_, one, other) => {
    expect(await fingerprintOf(one)).not.toBe(await fingerprintOf(other));
  });

  it("says nothing of the request it was taken of", async () => {
    expect(await fingerprintOf({ prompt: "canary" })).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});

describe("a job's id", () => {
  it.each(["test-123", "a", "A_b-9", "x".repeat(64)])("is the key itself: %s", async (key) => {
    expect(await jobIdFor("acme", key)).toBe(key);
  });

  it.each(["a.b", "x".repeat(65), "job/1", "..", "~"])(
    "is derived from a key that cannot be an id, the same each time and for this tenant only: %s",
    async (key) => {
      const id = await jobIdFor("acme", key);
      expect(id).toMatch(JOB_ID);
      expect(await jobIdFor("acme", key)).toBe(id);
      expect(await jobIdFor("evil", key)).not.toBe(id);
      expect(await jobIdFor("acme", `${key}x`)).not.toBe(id);
    },
  );

  it("has at least 128 random bits where there is no key, and is one that can be asked for", async () => {
    const ids = await Promise.all(Array.from({ length: 500 }, () => jobIdFor("acme", null)));
    expect(new Set(ids).size).toBe(500);
    for (const id of ids) {
      expect(id).toMatch(JOB_ID);
      expect(id).toMatch(/^job_.{22,}$/);
    }
  });
});

describe("the name of a job's object", () => {
  it("invariant 8: is another for each tenant, and hides both tenant and id", async () => {
    const name = await objectName("acme", "test-123");
    expect(name).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(await objectName("acme", "test-123")).toBe(name);
    expect(await objectName("evil", "test-123")).not.toBe(name);
    expect(await objectName("acme", "test-124")).not.toBe(name);
  });

  it("invariant 8: no tenant and id join into another's", async () => {
    const tenant = fc.stringMatching(/^[a-z-]{1,6}$/);
    const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/);
    const property = fc.asyncProperty(tenant, id, fc.nat({ max: 12 }), async (tenant, id, cut) => {
      const both = tenant + id;
      const [other, rest] = [both.slice(0, cut), both.slice(cut)];
      const same = (await objectName(tenant, id)) === (await objectName(other, rest));
      expect(same).toBe(other === tenant);
    });
    await fc.assert(property, { numRuns: 200 });
  });
});

describe("an Idempotency-Key", () => {
  it.each(["a", "test-123", "!~", "x".repeat(255)])("may be %s", (key) => {
    expect(key).toMatch(IDEMPOTENCY_KEY);
  });

  it.each(["", "a b", "a\n", "\t", "é", "x".repeat(256)])("may not be %j", (key) => {
    expect(key).not.toMatch(IDEMPOTENCY_KEY);
  });
});

it("a random token is as long as its bytes and holds no padding", () => {
  expect(randomToken(16)).toMatch(/^[A-Za-z0-9_-]{22}$/);
  expect(randomToken(32)).toMatch(/^[A-Za-z0-9_-]{43}$/);
});

describe("a shard", () => {
  it("takes its share of a tenant's jobs", async () => {
    const shards = await Promise.all(
      Array.from({ length: 4_000 }, (_, at) => shardOf(`job_${at}_${at * 7}`)),
    );
    for (let shard = 0; shard < LISTING_SHARDS; shard++) {
      const share = shards.filter((one) => one === shard).length;
      expect(share).toBeGreaterThan(150);
      expect(share).toBeLessThan(350);
    }
  });

  it("is where it always was: moved, its entries would be lost", async () => {
    expect(await Promise.all(["test-123", "test-124", "test-125"].map(shardOf))).toEqual([
      7, 13, 9,
    ]);
    expect(await shardName("acme", 3)).toBe("fWKqc7cli8PHKX2jDn2CEHkvcmAhoAVq_Fd8hrwX_K4");
  });
});

describe("a claim's name", () => {
  const route = { name: "gpt-4o", provider: "openai", model: "gpt-4o" };
  const request = { prompt: "Why?", params: { seed: 1, top_p: 1 }, user: "ada" };
  const name = claimName("acme", route, request);

  it("is the same for whatever makes the same call for the same user", async () => {
    const same = [
      { ...request, metadata: { page: "faq" }, dedupe_window_seconds: 5 },
      { ...request, params: { top_p: 1, seed: 1 } },
      { ...request, prompt: undefined, messages: [{ role: "user" as const, content: "Why?" }] },
    ];
    for (const one of same) expect(await claimName("acme", route, asCreate(one))).toBe(await name);
    const alias = { ...route, name: "openai/gpt-4o" };
    expect(await claimName("acme", alias, request)).toBe(await name);
    const bare = { prompt: "Why?" };
    expect(await claimName("acme", route, { ...bare, params: {} })).toBe(
      await claimName("acme", route, bare),
    );
  });

  it("is another for another tenant, user, model, input or parameter", async () => {
    const others = [
      claimName("other", route, request),
      claimName("acme", { ...route, model: "gpt-5" }, request),
      claimName("acme", { ...route, provider: "simulator" }, request),
      claimName("acme", route, { ...request, user: "bob" }),
      claimName("acme", route, { prompt: "Why?", params: request.params }),
      claimName("acme", route, { ...request, prompt: "Why not?" }),
      claimName("acme", route, { ...request, params: { seed: 2, top_p: 1 } }),
    ];
    const names = await Promise.all([name, ...others]);
    expect(new Set(names).size).toBe(names.length);
  });
});

/** As a request is parsed: what is undefined is not there. */
function asCreate(request: object): CreateJob {
  return asJson(request) as CreateJob;
}

describe("the names of objects that are known by", () => {
  it("their tenant are digests, one for each, and no other object's", async () => {
    const names = await Promise.all([
      tenantName("acme"),
      tenantName("other"),
      gateName("acme", "https://acme"),
      objectName("tenant", "acme"),
      shardName("acme", 0),
    ]);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it("a tenant and the origin of a URL are the same for whatever else is in it", async () => {
    const name = await gateName("acme", "https://hooks.example.com/a?token=b");
    for (const same of [
      "https://HOOKS.example.com:443/",
      "https://hooks.example.com./",
      "https://user:x@hooks.example.com#c",
    ]) {
      expect(await gateName("acme", same)).toBe(name);
    }
    for (const other of ["https://hooks.example.com:8443/a", "http://hooks.example.com/a"]) {
      expect(await gateName("acme", other)).not.toBe(name);
    }
    expect(await gateName("other", "https://hooks.example.com/")).not.toBe(name);
    expect(name).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});
