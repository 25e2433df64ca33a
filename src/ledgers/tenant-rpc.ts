import type { KeptKey, TenantChange, TenantRecord } from "../domain/tenant-record.ts";
import type { Tier } from "../schema/job.ts";

/** What became of a key. `no_key`: there is none to rotate. `full`: the tenant has as many as it may have. */
export type KeyKept =
  | { type: "kept"; record: TenantRecord }
  | { type: "no_tenant" | "no_key" | "full"; record?: never };

/** `whsec_<base64 of 32 bytes>` each; the older ones newest first. */
export type SigningSecrets = { newest: string; older: string[] };

/** `previousValidUntil`: epoch milliseconds; null where there is none before it that is still valid. */
export type RotatedSecret = { secret: string; previousValidUntil: number | null };

/** What is a tenant's own. Each call names it, and is answered as if there were none where the object is another's. */
export interface TenantRpc {
  /** Null: it was never created. */
  record(tenant: string): Promise<TenantRecord | null>;
  /** The tenant as it is, if there is one; it is not changed then. May be repeated without harm. */
  create(tenant: string, tier: Tier): Promise<{ record: TenantRecord; isNew: boolean }>;
  change(tenant: string, change: TenantChange): Promise<TenantRecord | null>;
  /** Takes the place of a key of the same id, so it may be repeated without harm. */
  addKey(tenant: string, key: KeptKey): Promise<KeyKept>;
  /** Adds a key with the scopes of another, which stays valid for the overlap, no longer than it was to be. */
  rotateKey(
    tenant: string,
    keyId: string,
    made: Omit<KeptKey, "scopes">,
    overlapSeconds: number,
  ): Promise<KeyKept>;
  /** The tenant without the key, whether or not it had it. */
  revokeKey(tenant: string, keyId: string): Promise<TenantRecord | null>;
  /** Keeps the same key under another hash. May be repeated without harm. */
  rehashKey(
    tenant: string,
    keyId: string,
    hashes: { from: string; to: string },
  ): Promise<TenantRecord | null>;
  /**
   * The secrets its deliveries are signed with: at most five. A tenant without any gets its first here. May be repeated
   * without harm. Null: they cannot be read, for the root key is another.
   */
  webhookSecrets(): Promise<SigningSecrets | null>;
  /**
   * Makes a new secret. The ones before stay valid for the overlap, none longer than it was to be; with 0 they end at once.
   * Every call makes another: one that was lost on the way may have been carried out.
   */
  rotateWebhookSecret(overlapSeconds: number): Promise<RotatedSecret>;
}
