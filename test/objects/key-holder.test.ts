import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { createApp } from "../../src/http/app.ts";
import { tenantName } from "../../src/ids.ts";
import type { KeyCreated } from "../../src/schema/tenant.ts";
import { stubOf } from "../support/faulty.ts";
import { holdClock, logged, passTime } from "./support.ts";

holdClock({ ledgersToo: false });

const ADMIN_API_KEY = "admin-key-canary-0123456789-0123456789";
const OLD_ROOT = "old-root-canary-0123456789-0123456789";
const NEW_ROOT = "new-root-canary-0123456789-0123456789";

const app = createApp();
let tenants = 0;

/** The Worker in an isolate of its own, which knows nobody yet. It notes which tenants' objects it calls, and for what. */
function isolate(settings: object = {}) {
  const calls: string[] = [];
  const state = { broken: false };
  const TENANTS = {
    getByName: (name: string) =>
      stubOf((method, args) => {
        calls.push(method);
        if (state.broken) return Promise.reject(new Error("overloaded"));
        const stub = env.TENANTS.getByName(name);
        return Promise.resolve(Reflect.apply(Reflect.get(stub, method), stub, args));
      }),
  };
  const keys = { AUTH_MODE: "keys", SIGNING_KEY: OLD_ROOT, ADMIN_API_KEY, OPENAI_API_KEY: "none" };
  const own = { ...env, ...keys, ...settings, TENANTS } as unknown as Env;
  const ask = async (key: string, path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const context = createExecutionContext();
    const asked = new Request(`https://afterword.test${path}`, { ...init, headers });
    const answer = await app.fetch(asked, own, context);
    await waitOnExecutionContext(context);
    return answer;
  };
  const read = async (key: string) => (await ask(key, "/api/jobs/none")).status;
  const post = async <T>(path: string, body: object): Promise<T> => {
    const answer = await ask(ADMIN_API_KEY, path, { method: "POST", body: JSON.stringify(body) });
    expect(answer.status).toBe(201);
    return answer.json();
  };
  return { calls, state, ask, read, post };
}

/** A tenant nobody else has, and a key of it. */
async function newKey(scopes = ["jobs:read", "jobs:write"], more: object = {}) {
  tenants += 1;
  const tenant = `holder-${tenants}`;
  const maker = isolate();
  await maker.post("/api/admin/tenants", { tenant, tier: "pro" });
  const keys = `/api/admin/tenants/${tenant}/keys`;
  const { key, key_id } = await maker.post<KeyCreated>(keys, { scopes, ...more });
  return { tenant, key, key_id, maker };
}

describe("a key", () => {
  it("costs one round trip when an isolate sees it first, and none while it is busy", async () => {
    const { key } = await newKey();
    const one = isolate();
    expect(await one.read(key)).toBe(404);
    expect(one.calls).toEqual(["record"]);
    const body = JSON.stringify({ prompt: "x", delay_seconds: 600 });
    for (let at = 0; at < 3; at++) {
      expect((await one.ask(key, "/api/jobs", { method: "POST", body })).status).toBe(202);
      passTime(5_000);
    }
    expect(one.calls).toEqual(["record"]);
  });

  it("that was made a moment ago is known at once where the tenant was known before", async () => {
    const { tenant, key, maker } = await newKey();
    const other = isolate();
    await other.read(key);
    passTime(2_000);
    const path = `/api/admin/tenants/${tenant}/keys`;
    const { key: fresh } = await maker.post<KeyCreated>(path, { scopes: ["jobs:read"] });
    expect(await other.read(fresh)).toBe(404);
  });

  it("that is revoked opens nothing after a minute, however busy it is, wherever it is used", async () => {
    const { tenant, key, key_id, maker } = await newKey();
    const busy = isolate();
    await busy.read(key);
    const path = `/api/admin/tenants/${tenant}/keys/${key_id}`;
    expect((await maker.ask(ADMIN_API_KEY, path, { method: "DELETE" })).status).toBe(204);
    expect(await maker.read(key)).toBe(401);
    expect(await busy.read(key)).toBe(404);
    passTime(60_000);
    expect(await busy.read(key)).toBe(401);
    expect((await maker.ask(ADMIN_API_KEY, path, { method: "DELETE" })).status).toBe(204);
  });

  it("that has an end opens nothing from then on", async () => {
    const { key } = await newKey(["jobs:read"], { expires_in_seconds: 10 });
    const one = isolate();
    passTime(9_999);
    expect(await one.read(key)).toBe(404);
    passTime(1);
    expect(await one.read(key)).toBe(401);
  });

  it("that cannot be checked is told to come again, and that the operator can get in does not depend on it", async () => {
    const { key } = await newKey();
    const one = isolate();
    await one.read(key);
    one.state.broken = true;
    passTime(59_999);
    expect(await one.read(key)).toBe(404);
    passTime(1);
    const answer = await one.ask(key, "/api/jobs/none");
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(await answer.json()).toMatchObject({ code: "unavailable" });
    expect(await one.read(ADMIN_API_KEY)).toBe(404);
    one.state.broken = false;
    expect(await one.read(key)).toBe(404);
  });

  it.each<[string, (key: string) => string]>([
    ["with a wrong character", (key) => key.replace(/.$/, (last) => (last === "0" ? "1" : "0"))],
    ["without its end", (key) => key.slice(0, -1)],
    ["of the other environment", (key) => key.replace("live", "test")],
    ["that is none", () => "sk-0123456789"],
  ])("%s is refused without a lookup", async (_, wrong) => {
    const { key } = await newKey();
    const one = isolate();
    expect(await one.read(wrong(key))).toBe(401);
    expect(one.calls).toEqual([]);
  });

  it("of a deployment of the other environment is refused without a lookup, and its own is taken", async () => {
    const { tenant, key } = await newKey();
    const other = isolate({ KEY_ENVIRONMENT: "test" });
    expect(await other.read(key)).toBe(401);
    expect(other.calls).toEqual([]);
    const keys = `/api/admin/tenants/${tenant}/keys`;
    const made = await other.post<KeyCreated>(keys, { scopes: ["jobs:read"] });
    expect(made.key).toMatch(/^aw_test_/);
    expect(await other.read(made.key)).toBe(404);
    expect(await isolate().read(made.key)).toBe(401);
  });

  it("that is well formed and nobody's costs one lookup, and no more while it is tried again", async () => {
    const { tenant, key } = await newKey();
    const { key: other, key_id } = await (async () => {
      const one = isolate();
      const path = `/api/admin/tenants/${tenant}/keys`;
      return one.post<KeyCreated>(path, { scopes: ["jobs:read"] });
    })();
    const revoker = isolate();
    const path = `/api/admin/tenants/${tenant}/keys/${key_id}`;
    await revoker.ask(ADMIN_API_KEY, path, { method: "DELETE" });
    const one = isolate();
    for (let at = 0; at < 5; at++) expect(await one.read(other)).toBe(401);
    expect(one.calls).toEqual(["record"]);
    expect(await one.read(key)).toBe(404);
  });

  it("outlives the root it was hashed under, once it was used under both", async () => {
    const [used, unused] = [await newKey(), await newKey()];
    const both = isolate({ SIGNING_KEY: NEW_ROOT, PREVIOUS_SIGNING_KEY: OLD_ROOT });
    expect(await both.read(used.key)).toBe(404);
    expect(await both.read(used.key)).toBe(404);
    expect(both.calls).toEqual(["record", "rehashKey"]);
    const after = isolate({ SIGNING_KEY: NEW_ROOT });
    expect(await after.read(used.key)).toBe(404);
    expect(after.calls).toEqual(["record"]);
    expect(await after.read(unused.key)).toBe(401);
  });

  it("is nowhere in the log, and neither is what is kept of it, whatever happens", async () => {
    const { tenant, key } = await newKey();
    const one = isolate();
    one.state.broken = true;
    await one.read(key);
    const secret = key.split("_").at(-1) ?? "";
    const lines = logged.filter((line) => line.includes("tenant.unreachable"));
    expect(lines.at(-1)).toContain(await tenantName(tenant));
    expect(logged.filter((line) => line.includes(secret) || line.includes("aw_live"))).toEqual([]);
  });
});
