import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { tenantName } from "../../src/ids.ts";
import type { KeyRotated, TenantList, TenantView } from "../../src/schema/tenant.ts";
import { Api, expectJson, expectProblem } from "../support/api.ts";
import { SocketFollower } from "../support/follow-socket.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";
import { Operator, TENANT_SCOPES } from "../support/tenants.ts";

const ADMIN_API_KEY = "admin-key-canary-0123456789-0123456789";
const TENANTS = "/api/admin/tenants";

let journey: Journey;
let operator: Operator;
beforeAll(async () => {
  const vars = { AUTH_MODE: "keys", KEY_MAX_AGE_SECONDS: "3", DAY_BUDGET_USD: '{"pro":7}' };
  journey = await startJourney(vars, { ADMIN_API_KEY, SIGNING_KEY });
  operator = new Operator(journey.product.url, ADMIN_API_KEY);
});
afterAll(() => journey.close());

function patch(tenant: string, body: object): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const init = { method: "PATCH", headers, body: JSON.stringify(body) };
  return operator.fetch(`${TENANTS}/${tenant}`, init);
}

async function keyIds(tenant: string): Promise<string[]> {
  const answer = await operator.fetch(`${TENANTS}/${tenant}/keys`);
  const { keys } = await expectJson<{ keys: { key_id: string }[] }>(answer, 200);
  return keys.map(({ key_id }) => key_id);
}

async function statusOf(key: string): Promise<number> {
  return (await operator.holderOf(key).fetch("/api/jobs/none")).status;
}

describe("a tenant", () => {
  it("is created once; said again it is there, and said otherwise it is a conflict", async () => {
    const create = (tier: string) => operator.post(TENANTS, { tenant: "once", tier });
    const made = await expectJson<TenantView>(await create("pro"), 201);
    expect(made).toMatchObject({ tenant: "once", tier: "pro", own_limits: [], keys: [] });
    expect(await expectJson(await create("pro"), 200)).toEqual(made);
    await expectProblem(await create("free"), 409, "tenant-exists");
    expect(await expectJson(await operator.fetch(`${TENANTS}/once`), 200)).toEqual(made);
  });

  it("has the limits of its tier, and its own where it is given some", async () => {
    await operator.createTenant("limited");
    const limits = { day_budget_usd: 7, month_budget_usd: 1_000, max_queued: 10_000 };
    const before = await expectJson(await operator.fetch(`${TENANTS}/limited`), 200);
    expect(before).toMatchObject({ limits, own_limits: [] });
    const own = { limits: { max_queued: 3, day_budget_usd: 0.5 } };
    expect(await expectJson(await patch("limited", own), 200)).toMatchObject({
      limits: { max_queued: 3, day_budget_usd: 0.5, month_budget_usd: 1_000 },
      own_limits: ["max_queued", "day_budget_usd"],
    });
    const back = { tier: "free", limits: { day_budget_usd: null } };
    expect(await expectJson(await patch("limited", back), 200)).toMatchObject({
      tier: "free",
      limits: { max_queued: 3, day_budget_usd: 5 },
      own_limits: ["max_queued"],
    });
  });

  it("is listed by its name, page by page", async () => {
    for (const tenant of ["listed-c", "listed-a", "listed-b"]) await operator.createTenant(tenant);
    const names: string[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const answer = await operator.fetch(`${TENANTS}?limit=2${query}`);
      const page = await expectJson<TenantList>(answer, 200);
      names.push(...page.tenants.map(({ tenant }) => tenant));
      expect(page.has_more).toBe(page.next_cursor !== null);
      cursor = page.next_cursor;
    }
    const listed = names.filter((name) => name.startsWith("listed"));
    expect(listed).toEqual(["listed-a", "listed-b", "listed-c"]);
    expect(names).toEqual([...new Set(names)].toSorted());
  });

  it.each(["dev", "admin", "Acme", "-a", "a_b", "a".repeat(40), ""])(
    "cannot be named %j",
    async (tenant) => {
      const answer = await operator.post(TENANTS, { tenant, tier: "pro" });
      await expectProblem(answer, 400, "invalid-request");
    },
  );

  it("that is unknown is 404 on every route", async () => {
    const none = `${TENANTS}/none`;
    const asks = [
      operator.fetch(none),
      patch("none", { tier: "pro" }),
      operator.post(`${none}/keys`, { scopes: ["jobs:read"] }),
      operator.fetch(`${none}/keys`),
      operator.post(`${none}/keys/none-000000/rotate`, {}),
      operator.fetch(`${none}/keys/none-000000`, { method: "DELETE" }),
    ];
    for (const answer of asks) await expectProblem(await answer, 404, "tenant-not-found");
  });
});

describe("a tenant's key", () => {
  it("does what its scopes say, at the tenant's tier, and is shown once", async () => {
    await operator.createTenant("acme", "free");
    const { key, key_id, scopes } = await operator.createKey("acme");
    expect(key).toMatch(/^aw_live_acme-[0-9A-Za-z]{6}_[0-9A-Za-z]{38}$/);
    expect([key.includes(key_id), scopes]).toEqual([true, TENANT_SCOPES]);
    const api = operator.holderOf(key);
    const { job_id, priority } = await api.submit({ prompt: freshPrompt() });
    expect(priority).toBe("free");
    expect((await api.ended(job_id)).status).toBe("completed");
    const shown = await (await operator.fetch(`${TENANTS}/acme`)).text();
    expect(shown).toContain(key_id);
    expect(shown).not.toContain(key.slice(-38, -30));
  });

  it("tries a job again at the tier its tenant has by now, however urgent it was", async () => {
    await operator.createTenant("shrinks", "enterprise");
    const api = operator.holderOf((await operator.createKey("shrinks")).key);
    const urgent = { prompt: freshPrompt(), priority: 2, delay_seconds: 3_600 };
    const { job_id, priority_level } = await api.submit(urgent);
    expect(priority_level).toBe(2);
    await api.cancel(job_id);
    await expectJson(await patch("shrinks", { tier: "free" }), 200);
    const again = { replay_of: job_id, priority: "free", priority_level: 10 };
    expect(await api.read((await api.retry(job_id)).job_id)).toMatchObject(again);
    // The second asks for the same job, whatever the tier is by then.
    await expectJson(await patch("shrinks", { tier: "pro" }), 200);
    expect(await expectJson(await api.again(job_id), 200)).toMatchObject({ priority: "free" });
  });

  it("is never an operator's, and the operator's own may be made, fewer scopes and all", async () => {
    await operator.createTenant("ambitious");
    const asked = await operator.post(`${TENANTS}/ambitious/keys`, { scopes: ["admin"] });
    const refused = await expectProblem(asked, 400, "invalid-request");
    expect(refused.errors).toMatchObject([{ pointer: "/scopes" }]);
    const { key } = await operator.createKey("admin", ["admin"]);
    const other = operator.holderOf(key);
    expect((await other.fetch("/api/admin/stats")).status).toBe(200);
    await expectProblem(await other.fetch("/api/jobs"), 403, "forbidden");
  });

  it("of the operator has limits as well, and they are changed like any tenant's", async () => {
    const limits = { day_budget_usd: 3 };
    const changed = await expectJson<TenantView>(await patch("admin", { limits }), 200);
    expect(changed).toMatchObject({ tenant: "admin", limits, own_limits: ["day_budget_usd"] });
    const { key } = await operator.createKey("admin", ["jobs:read"]);
    const usage = await operator.holderOf(key).fetch("/api/usage");
    expect(await expectJson(usage, 200)).toMatchObject({ budget: { day: { limit_usd: 3 } } });
  });

  it("that is rotated has a successor of the same scopes, and lives on for the overlap", async () => {
    await operator.createTenant("rotates");
    const first = await operator.createKey("rotates", ["jobs:read"]);
    const rotate = async (key_id: string, body: object) => {
      const path = `${TENANTS}/rotates/keys/${key_id}/rotate`;
      return expectJson<KeyRotated>(await operator.post(path, body), 201);
    };
    const second = await rotate(first.key_id, {});
    expect(second.scopes).toEqual(["jobs:read"]);
    expect(Date.parse(second.previous_valid_until ?? "")).toBeGreaterThan(Date.now());
    expect([await statusOf(first.key), await statusOf(second.key)]).toEqual([404, 404]);
    const third = await rotate(second.key_id, { overlap_seconds: 0 });
    expect(third.previous_valid_until).toBeNull();
    expect([await statusOf(second.key), await statusOf(third.key)]).toEqual([401, 404]);
    expect(await keyIds("rotates")).toEqual([first.key_id, third.key_id]);
    const again = await operator.post(`${TENANTS}/rotates/keys/${second.key_id}/rotate`, {});
    await expectProblem(again, 404, "key-not-found");
  });

  it("that is revoked where nobody here hears of it opens nothing soon, and what it opened is closed", async () => {
    await operator.createTenant("leaky");
    const { key, key_id } = await operator.createKey("leaky");
    const api = operator.holderOf(key);
    const { job_id } = await api.submit({ prompt: freshPrompt(), delay_seconds: 600 });
    const headers = { authorization: `Bearer ${key}` };
    const one = await SocketFollower.open(api.url, `/ws/jobs/${job_id}`, headers);
    const many = await SocketFollower.open(api.url, "/ws", headers);
    const stream = api.log(job_id);
    const held = api.fetch(`/api/jobs/${job_id}?wait=60`);
    const page = api.fetch(`/api/jobs/${job_id}/events?after=1&wait=60`, {
      headers: { accept: "application/json" },
    });
    const { TENANTS: objects } = (await journey.product.harness.getWorker().getEnv()) as {
      TENANTS: { getByName(name: string): { revokeKey(...key: string[]): Promise<unknown> } };
    };
    await objects.getByName(await tenantName("leaky")).revokeKey("leaky", key_id);
    expect(await Promise.all([one.closed, many.closed])).toEqual([4401, 4401]);
    expect((await stream).map(({ type }) => type)).toEqual(["queued"]);
    expect([(await held).status, (await page).status]).toEqual([200, 200]);
    await expect.poll(() => statusOf(key), { timeout: 20_000 }).toBe(401);
    const operators = new Api(operator.url, { authorization: `Bearer ${ADMIN_API_KEY}` });
    expect((await operators.fetch(`/api/jobs/${job_id}`)).status).toBe(404);
  });
});

describe("the logs", () => {
  it("hold no key, nor any part of one that is secret (invariant 9)", () => {
    const logs = JSON.stringify(journey.product.harness.getLogs());
    expect(logs).toContain("job.completed");
    expect(logs).not.toMatch(/aw_live|admin-key-canary/);
  });
});
