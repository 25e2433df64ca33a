import type { Tier } from "../schema/job.ts";
import type { Scope } from "../schema/tenant.ts";
import type { OwnLimits, TenantLimits } from "./tenant.ts";

/** A key as it is kept: nothing of it can be told from this. `expiresAt`: epoch milliseconds; null: it does not. */
export type KeptKey = {
  id: string;
  hash: string;
  scopes: readonly Scope[];
  createdAt: number;
  expiresAt: number | null;
};

/** What is known of a tenant, one row. */
export type TenantRecord = {
  /** Compared with the name that was asked for: a row that has strayed is nobody's. */
  tenant: string;
  tier: Tier;
  limits: OwnLimits;
  createdAt: number;
  keys: readonly KeptKey[];
};

/** Of a limit, null: it is its tier's again. */
export type TenantChange = {
  tier?: Tier;
  limits?: { [K in keyof TenantLimits]?: number | null };
};

/** Keys a tenant may have at once: the record is read whole, for every request that is not answered from memory. */
export const MAX_KEYS = 50;

/** Whose names are given: everybody is `dev` with AUTH_MODE=none, and the operator is `admin`. */
export const OPERATOR = "admin";
const RESERVED: ReadonlySet<string> = new Set(["dev", OPERATOR]);

export function isReserved(tenant: string): boolean {
  return RESERVED.has(tenant);
}

/** Whether a key of this tenant may have them: what an operator may do is not for tenants, whoever asks for it. */
export function mayHave(tenant: string, scopes: readonly Scope[]): boolean {
  return tenant === OPERATOR || !scopes.includes("admin");
}

/** The key of this id, while it is valid. */
export function validKey(record: TenantRecord | null, id: string, now: number): KeptKey | null {
  return record?.keys.find((key) => key.id === id && isValid(key, now)) ?? null;
}

export function validKeys({ keys }: TenantRecord, now: number): KeptKey[] {
  return keys.filter((key) => isValid(key, now));
}

export function changed(record: TenantRecord, change: TenantChange): TenantRecord {
  const limits = Object.entries({ ...record.limits, ...change.limits });
  const own = limits.filter(([, limit]) => limit !== null && limit !== undefined);
  return { ...record, tier: change.tier ?? record.tier, limits: Object.fromEntries(own) };
}

/** With one more key; those whose time is over are let go. Null: it has as many as it may have. */
export function withKey(record: TenantRecord, key: KeptKey, now: number): TenantRecord | null {
  const others = validKeys(record, now).filter(({ id }) => id !== key.id);
  return others.length < MAX_KEYS ? { ...record, keys: [...others, key] } : null;
}

/** The key `id` valid until then and no longer than it was to be. */
export function ending(record: TenantRecord, id: string, until: number): TenantRecord {
  const end = (key: KeptKey) => ({ ...key, expiresAt: Math.min(until, key.expiresAt ?? until) });
  return { ...record, keys: record.keys.map((key) => (key.id === id ? end(key) : key)) };
}

export function withoutKey(record: TenantRecord, id: string): TenantRecord {
  return { ...record, keys: record.keys.filter((key) => key.id !== id) };
}

/** The key `id` under another hash, if it is still the one that was read. */
export function rehashed(
  record: TenantRecord,
  id: string,
  { from, to }: { from: string; to: string },
): TenantRecord {
  const isIt = (key: KeptKey) => key.id === id && key.hash === from;
  return { ...record, keys: record.keys.map((key) => (isIt(key) ? { ...key, hash: to } : key)) };
}

function isValid({ expiresAt }: KeptKey, now: number): boolean {
  return expiresAt === null || now < expiresAt;
}
