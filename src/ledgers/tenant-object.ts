import { DurableObject } from "cloudflare:workers";
import { encodeBase64 } from "hono/utils/encode";

import { configOf } from "../settings/config.ts";
import type { Tier } from "../schema/job.ts";
import {
  changed,
  ending,
  rehashed,
  validKey,
  withKey,
  withoutKey,
  type KeptKey,
  type TenantChange,
  type TenantRecord,
} from "../domain/tenant-record.ts";
import { resealed, rotated, validSecrets, type KeptSecret } from "../domain/webhook-secret.ts";
import { logFault } from "../log.ts";
import { isCurrent, open, seal, type Seal } from "../secrets/vault.ts";
import type { KeyKept, RotatedSecret, SigningSecrets } from "./tenant-rpc.ts";

const SECRETS = "webhook-secrets";
const RECORD = "tenant";

/** Source: Standard Webhooks, spec/standard-webhooks.md asks for 24 to 64. */
const SECRET_BYTES = 32;

/** In the clear, and as it is kept. */
type Secret = { secret: string; sealed: string };

/**
 * What is a tenant's own: what is known of it, its keys among that, in one row; and the secrets its webhooks are signed
 * with, sealed, in another. To seal and to open is to await, and
 * meanwhile other calls come in; so whatever is stored is decided on the row as it is then, in one synchronous step.
 */
export class TenantObject extends DurableObject<Env> {
  /** Reading a tenant that was never created writes nothing. */
  record(tenant: string): TenantRecord | null {
    const record = this.ctx.storage.kv.get<TenantRecord>(RECORD);
    return record?.tenant === tenant ? record : null;
  }

  create(tenant: string, tier: Tier): { record: TenantRecord; isNew: boolean } {
    const known = this.record(tenant);
    if (known !== null) return { record: known, isNew: false };
    const record = { tenant, tier, limits: {}, createdAt: Date.now(), keys: [] };
    return { record: this.#store(record), isNew: true };
  }

  change(tenant: string, change: TenantChange): TenantRecord | null {
    const record = this.record(tenant);
    return record === null ? null : this.#store(changed(record, change));
  }

  addKey(tenant: string, key: KeptKey): KeyKept {
    const record = this.record(tenant);
    if (record === null) return { type: "no_tenant" };
    return this.#kept(withKey(record, key, Date.now()));
  }

  rotateKey(
    tenant: string,
    keyId: string,
    made: Omit<KeptKey, "scopes">,
    overlapSeconds: number,
  ): KeyKept {
    const record = this.record(tenant);
    if (record === null) return { type: "no_tenant" };
    const now = Date.now();
    const before = validKey(record, keyId, now);
    if (before === null) return { type: "no_key" };
    const key = { ...made, scopes: before.scopes };
    return this.#kept(withKey(ending(record, keyId, now + overlapSeconds * 1_000), key, now));
  }

  revokeKey(tenant: string, keyId: string): TenantRecord | null {
    const record = this.record(tenant);
    return record === null ? null : this.#store(withoutKey(record, keyId));
  }

  rehashKey(
    tenant: string,
    keyId: string,
    hashes: { from: string; to: string },
  ): TenantRecord | null {
    const record = this.record(tenant);
    const isDue =
      record?.keys.some(({ id, hash }) => id === keyId && hash === hashes.from) ?? false;
    return record === null || !isDue ? record : this.#store(rehashed(record, keyId, hashes));
  }

  async webhookSecrets(): Promise<SigningSecrets | null> {
    const [newest, ...older] = await this.#opened();
    if (newest !== undefined) return { newest, older };
    // A wrong root may be put right; until then a signature that nobody knows would only look like fraud.
    if (this.#hasSecrets()) return null;
    const { secret, sealed } = await this.#newSecret();
    // Another call was quicker, and its secret is the first.
    if (this.#hasSecrets()) return this.webhookSecrets();
    this.#keep(rotated(this.#secrets(), sealed, 0, Date.now()));
    return { newest: secret, older: [] };
  }

  async rotateWebhookSecret(overlapSeconds: number): Promise<RotatedSecret> {
    const { secret, sealed } = await this.#newSecret();
    const kept = rotated(this.#secrets(), sealed, overlapSeconds * 1_000, Date.now());
    this.#keep(kept);
    return { secret, previousValidUntil: kept[1]?.validUntil ?? null };
  }

  /** The valid secrets that can be read, newest first; what the root before has sealed is sealed anew. */
  async #opened(): Promise<string[]> {
    const valid = validSecrets(this.#secrets(), Date.now());
    const opened = await Promise.all(valid.map(({ sealed }) => this.#open(sealed)));
    const changes = new Map<string, string>();
    for (const [at, { sealed }] of valid.entries()) {
      const anew = opened[at]?.sealed;
      if (anew === undefined) logFault("webhook_secret.unreadable", { object: this.ctx.id.name });
      else if (anew !== sealed) changes.set(sealed, anew);
    }
    if (changes.size > 0) this.#keep(resealed(this.#secrets(), changes));
    return opened.flatMap((one) => (one === null ? [] : [one.secret]));
  }

  /** A secret, and how it is to be kept from now on; null: it cannot be opened. */
  async #open(sealed: string): Promise<Secret | null> {
    const config = configOf(this.env);
    const secret = await open(config, this.#seal(), sealed);
    if (secret === null) return null;
    if (await isCurrent(config, sealed)) return { secret, sealed };
    return { secret, sealed: await seal(config, this.#seal(), secret) };
  }

  async #newSecret(): Promise<Secret> {
    const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
    const secret = `whsec_${encodeBase64(bytes.buffer)}`;
    return { secret, sealed: await seal(configOf(this.env), this.#seal(), secret) };
  }

  /** The object's id stands for the tenant: made of its name, and of what storage this is. */
  #seal(): Seal {
    return { purpose: "webhook-secret", owner: this.ctx.id.toString() };
  }

  #kept(record: TenantRecord | null): KeyKept {
    return record === null ? { type: "full" } : { type: "kept", record: this.#store(record) };
  }

  #store(record: TenantRecord): TenantRecord {
    this.ctx.storage.kv.put(RECORD, record);
    return record;
  }

  #hasSecrets(): boolean {
    return validSecrets(this.#secrets(), Date.now()).length > 0;
  }

  #secrets(): KeptSecret[] {
    return this.ctx.storage.kv.get<KeptSecret[]>(SECRETS) ?? [];
  }

  /** Without those whose time is over. */
  #keep(kept: KeptSecret[]): void {
    this.ctx.storage.kv.put(SECRETS, validSecrets(kept, Date.now()));
  }
}
