import type { KeyCreated, Scope } from "../../src/schema/tenant.ts";
import { Api, expectJson } from "./api.ts";

/** What a tenant's key may do: all but what only operators may. */
export const TENANT_SCOPES: readonly Scope[] = ["jobs:read", "jobs:write", "webhooks", "batches"];

/** An operator, who makes tenants and keys. */
export class Operator extends Api {
  constructor(url: string, key: string) {
    super(url, { authorization: `Bearer ${key}` });
  }

  async createTenant(tenant: string, tier = "pro"): Promise<void> {
    await expectJson(await this.post("/api/admin/tenants", { tenant, tier }), 201);
  }

  async createKey(tenant: string, scopes = TENANT_SCOPES, more: object = {}): Promise<KeyCreated> {
    const body = { scopes, ...more };
    const answer = await this.post(`/api/admin/tenants/${tenant}/keys`, body);
    return expectJson<KeyCreated>(answer, 201);
  }

  /** The face as the holder of this key sees it. */
  holderOf(key: string): Api {
    return new Api(this.url, { authorization: `Bearer ${key}` });
  }
}
