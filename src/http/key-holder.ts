import type { Context } from "hono";

import { hashOf, isCurrentHash, isKeyOf } from "../secrets/api-key-hash.ts";
import { parseApiKey, type ApiKey } from "../domain/api-key.ts";
import { limitsOf, type TenantLimits } from "../domain/tenant.ts";
import { OPERATOR, validKey, type KeptKey, type TenantRecord } from "../domain/tenant-record.ts";
import { tenantName } from "../ids.ts";
import { knownTenants } from "../tenants/known-tenants.ts";
import { tenantNamed } from "../ledgers/tenant-stub.ts";
import { logFault } from "../log.ts";
import { Scope } from "../schema/tenant.ts";
import type { Later } from "../tenants/tenant-cache.ts";
import type { App, Principal } from "./context.ts";
import { ApiError } from "./errors.ts";

/** A key that is not known may have been made a moment ago: what is older than this is asked for once more. */
const JUST_MADE_MS = 2_000;

/** Whose key this is; null: nobody's. Throws ApiError where that cannot be told now. */
export async function keyHolder(c: Context<App>, text: string): Promise<Principal | null> {
  const config = c.get("config");
  const key = parseApiKey(text);
  if (key === null) {
    const isOperator = await isEqual(text, config.ADMIN_API_KEY);
    return isOperator ? everything(OPERATOR, limitsOf("default", {}, config.limits)) : null;
  }
  if (key.environment !== config.KEY_ENVIRONMENT) return null;
  const found = await find(c, key);
  const matches = await isKeyOf(config, text, found?.kept.hash ?? null);
  if (found === null || !matches) return null;
  if (!(await isCurrentHash(config, found.kept.hash))) later(c)(rehash(c, text, key, found.kept));
  const { tenant, tier } = found.record;
  const limits = limitsOf(tier, found.record.limits, config.limits);
  return { tenant, tier, limits, scopes: found.kept.scopes, keyId: found.kept.id };
}

/** The principal that may do everything: the operator, and everybody with AUTH_MODE=none. */
export function everything(tenant: string, limits: TenantLimits): Principal {
  return { tenant, tier: "default", limits, scopes: Scope.options, keyId: null };
}

/**
 * Aborted once the key is no longer valid, or that can no longer be told. Looks until `over`.
 *
 * It looks twice as often as it must, since what it is told may be as old as a look apart.
 */
export function revocationOf(c: Context<App>, over: AbortSignal): AbortSignal {
  const { tenant, keyId } = c.get("principal");
  const revoked = new AbortController();
  if (keyId === null || over.aborted) return revoked.signal;
  const everyMs = (c.get("config").KEY_MAX_AGE_SECONDS * 1_000) / 3;
  const look = async () => {
    if (!(await isStillValid(c, tenant, keyId, everyMs))) revoked.abort();
  };
  const timer = setInterval(() => void look(), everyMs);
  for (const end of [over, revoked.signal]) {
    end.addEventListener("abort", () => clearInterval(timer), { once: true });
  }
  return revoked.signal;
}

async function isStillValid(
  c: Context<App>,
  tenant: string,
  keyId: string,
  maxAgeMs: number,
): Promise<boolean> {
  const cache = knownTenants(c.env);
  try {
    const record = await cache
      .get(tenant, later(c), maxAgeMs)
      // What is older by the next look is too old.
      .catch(() => cache.get(tenant, later(c), 2 * maxAgeMs));
    return validKey(record, keyId, Date.now()) !== null;
  } catch {
    return false;
  }
}

type FoundKey = { record: TenantRecord; kept: KeptKey };

async function find(c: Context<App>, { tenant, keyId }: ApiKey): Promise<FoundKey | null> {
  const cache = knownTenants(c.env);
  for (const maxAgeMs of [undefined, JUST_MADE_MS]) {
    const record = await reached(cache.get(tenant, later(c), maxAgeMs), tenant);
    const kept = validKey(record, keyId, Date.now());
    if (record !== null && kept !== null) return { record, kept };
  }
  return null;
}

async function reached<T>(asked: Promise<T>, tenant: string): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    logFault("tenant.unreachable", { object: await tenantName(tenant) }, error);
    const headers = { "retry-after": "1" };
    throw new ApiError("unavailable", "The key could not be checked; try again", { headers });
  }
}

/** Brings a key's hash under the current root while the key is at hand. Never rejects: it is tried again with the next. */
async function rehash(c: Context<App>, text: string, key: ApiKey, kept: KeptKey): Promise<void> {
  const name = await tenantName(key.tenant);
  try {
    const to = await hashOf(c.get("config"), text);
    const asOf = Date.now();
    const hashes = { from: kept.hash, to };
    const record = await tenantNamed(c.env, name).rehashKey(key.tenant, key.keyId, hashes);
    knownTenants(c.env).put(key.tenant, record, asOf);
  } catch (error) {
    logFault("api_key.not_rehashed", { object: name }, error);
  }
}

function later(c: Context<App>): Later {
  return (work) => c.executionCtx.waitUntil(work);
}

/** In constant time. Digests, because timingSafeEqual needs equal lengths and a length is a hint too. */
async function isEqual(text: string, expected: string | undefined): Promise<boolean> {
  if (expected === undefined) return false;
  const [left, right] = await Promise.all([digestOf(text), digestOf(expected)]);
  return crypto.subtle.timingSafeEqual(left, right);
}

function digestOf(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
