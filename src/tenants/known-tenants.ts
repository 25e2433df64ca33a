import { configOf } from "../settings/config.ts";
import { tenantName } from "../ids.ts";
import { tenantNamed } from "../ledgers/tenant-stub.ts";
import { TenantCache } from "./tenant-cache.ts";

const caches = new WeakMap<Env, TenantCache>();

/** What this isolate knows of tenants. */
export function knownTenants(env: Env): TenantCache {
  const known = caches.get(env);
  if (known !== undefined) return known;
  const cache = new TenantCache({
    read: async (tenant) => tenantNamed(env, await tenantName(tenant)).record(tenant),
    now: Date.now,
    maxAgeMs: configOf(env).KEY_MAX_AGE_SECONDS * 1_000,
  });
  caches.set(env, cache);
  return cache;
}
