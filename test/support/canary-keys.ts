import { expect } from "vitest";

import { formatApiKey, SECRET_LENGTH } from "../../src/domain/api-key.ts";
import type { KeyCreated } from "../../src/schema/tenant.ts";
import { expectJson, type Api } from "./api.ts";
import type { Canaries } from "./canaries.ts";
import type { Refusals } from "./refusals.ts";
import { TENANT_SCOPES, type Operator } from "./tenants.ts";

const TENANTS = "/api/admin/tenants";

/** Of a key that is 32 random characters and six that check them; what comes before may be told. */
const TAIL_LENGTH = SECRET_LENGTH + 6;

/** Makes tenants and genuine keys, each of which is a canary from then on. */
export class CanaryKeys {
  readonly #operator: Operator;
  readonly #canaries: Canaries;

  constructor(operator: Operator, canaries: Canaries) {
    this.#operator = operator;
    this.#canaries = canaries;
  }

  /** A tenant with these limits, as the holder of its key sees the service. */
  async tenant(tenant: string, limits: object): Promise<Api> {
    await this.#operator.createTenant(tenant);
    await this.#change(tenant, { limits });
    return this.#operator.holderOf((await this.key("API key", tenant)).key);
  }

  async key(name: string, tenant: string, scopes = TENANT_SCOPES): Promise<KeyCreated> {
    const made = await this.#operator.createKey(tenant, scopes);
    this.#canaries.watch(name, made.key.slice(-TAIL_LENGTH));
    return made;
  }

  /** Asks with keys that are or were genuine, where they open nothing. */
  async askInVain(tenant: string, refusals: Refusals): Promise<void> {
    const operator = this.#operator;
    const revoked = await this.key("revoked key", tenant);
    const path = `${TENANTS}/${tenant}/keys/${revoked.key_id}`;
    expect((await operator.fetch(path, { method: "DELETE" })).status).toBe(204);
    for (const key of [revoked.key, this.#ofOtherEnvironment(await this.key("key", tenant))]) {
      const api = operator.holderOf(key);
      for (const path of ["/api/jobs/known", "/api/usage", TENANTS, "/metrics"]) {
        expect([path, await refusals.ask(api, path)]).toEqual([path, 401]);
      }
      expect(await refusals.send(api, ["POST", "/api/jobs"], { prompt: "x" })).toBe(401);
    }
    const reader = await this.key("key of a reader", tenant, ["jobs:read"]);
    const api = operator.holderOf(reader.key);
    expect(await refusals.send(api, ["POST", "/api/jobs"], { prompt: "x" })).toBe(403);
    expect(await refusals.ask(api, "/api/webhook-secret/rotate", { method: "POST" })).toBe(403);
    for (const path of [TENANTS, `${TENANTS}/${tenant}/keys`, "/api/admin/stats", "/metrics"]) {
      expect([path, await refusals.ask(api, path)]).toEqual([path, 403]);
    }
    // Where no key belongs.
    const nobody = operator.holderOf("");
    const misplaced = `/api/jobs/known/events?token=${reader.key}`;
    expect(await refusals.ask(nobody, misplaced)).toBe(401);
    expect(await refusals.ask(api, `/api/jobs/known?include=${reader.key}`)).toBe(400);
  }

  /** The routes about usage, tenants and providers, asked wrongly. `wrong`: what no answer may repeat. */
  async askWrongly(caller: Api, tenant: string, wrong: string, refusals: Refusals): Promise<void> {
    const operator = this.#operator;
    const keys = `${TENANTS}/${tenant}/keys`;
    for (const query of [`from=${wrong}`, `group_by=${wrong}`]) {
      expect([query, await refusals.ask(caller, `/api/usage?${query}`)]).toEqual([query, 400]);
    }
    const sent: [string, string, unknown, number][] = [
      ["POST", TENANTS, { tenant: `${wrong}.`, tier: "pro" }, 400],
      ["POST", TENANTS, { tenant, tier: wrong }, 400],
      ["PATCH", `${TENANTS}/${tenant}`, { limits: { max_queued: wrong } }, 400],
      ["POST", keys, { scopes: [wrong] }, 400],
      ["POST", `${keys}/${tenant}-aaaaaa/rotate`, { overlap_seconds: wrong }, 400],
      ["PUT", `/api/admin/providers/${wrong}`, { paused: true }, 404],
      ["PUT", "/api/admin/providers/openai", { paused: wrong }, 400],
    ];
    for (const [method, path, body, status] of sent) {
      const told = await refusals.send(operator, [method, path], body);
      expect([method, path, told]).toEqual([method, path, status]);
    }
    for (const path of [`${TENANTS}?cursor=${wrong}.`, `${TENANTS}/${wrong}`]) {
      expect(await refusals.ask(operator, path)).toBeGreaterThanOrEqual(400);
    }
  }

  /** What usage, tenants and providers say where nothing is wrong: each answer's text. */
  async answers(caller: Api, tenant: string): Promise<string[]> {
    const operator = this.#operator;
    const asked: [Api, string][] = [
      [caller, "/api/usage?group_by=model"],
      [caller, "/api/usage?group_by=day"],
      [operator, TENANTS],
      [operator, `${TENANTS}/${tenant}`],
      [operator, `${TENANTS}/${tenant}/keys`],
      [operator, "/api/admin/providers/openai"],
      [operator, "/api/admin/stats"],
      [operator, "/metrics"],
      [operator, "/health"],
    ];
    const answers = asked.map(async ([api, path]) => {
      const answer = await api.fetch(path);
      expect([path, answer.status]).toEqual([path, 200]);
      return answer.text();
    });
    return Promise.all(answers);
  }

  async #change(tenant: string, change: object): Promise<void> {
    const headers = { "content-type": "application/json" };
    const init = { method: "PATCH", headers, body: JSON.stringify(change) };
    await expectJson(await this.#operator.fetch(`${TENANTS}/${tenant}`, init), 200);
  }

  /** The same secret as another deployment would have made it, with a checksum that is right. */
  #ofOtherEnvironment({ key, key_id }: KeyCreated): string {
    const secret = key.slice(-TAIL_LENGTH).slice(0, SECRET_LENGTH);
    const other = formatApiKey("test", key_id, secret);
    this.#canaries.watch("key of another environment", other.slice(-TAIL_LENGTH));
    return other;
  }
}
