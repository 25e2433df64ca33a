import { BoundedMap } from "../bounded-map.ts";
import type { TenantRecord } from "../domain/tenant-record.ts";
import { tenantName } from "../ids.ts";
import { logFault } from "../log.ts";

/** Tenants that are remembered, and as many names that are none's: those who try names must not push out the others. */
const MOST_REMEMBERED = 1_000;

/** An object that is slow to answer is not asked again by everybody meanwhile, in milliseconds. */
const ASK_AGAIN_MS = 2_000;

export type TenantPorts = {
  /** Null: there is no such tenant. */
  read: (tenant: string) => Promise<TenantRecord | null>;
  now: () => number;
  /** What is known is never used when it is older, in milliseconds. */
  maxAgeMs: number;
};

/** `asOf`: when it was asked for, since it may have changed at any time after. */
type Remembered<R> = { record: R; asOf: number; askedAt: number };

/** Does work that the answer does not wait for. */
export type Later = (work: Promise<void>) => void;

/**
 * What an isolate knows of tenants, so that a request costs no round trip. What is older than a third of its greatest age
 * is asked for again in passing, so those who are busy never wait for it. It holds values and no promises of them: a
 * request that ends early would leave others waiting for what it began.
 */
export class TenantCache {
  readonly #ports: TenantPorts;
  readonly #known = new BoundedMap<string, Remembered<TenantRecord>>(MOST_REMEMBERED);
  readonly #unknown = new BoundedMap<string, Remembered<null>>(MOST_REMEMBERED);

  constructor(ports: TenantPorts) {
    this.#ports = ports;
  }

  /** The tenant as it was at most so long ago. Rejects where it has to be asked for and cannot be reached. */
  async get(
    tenant: string,
    later: Later,
    maxAgeMs = this.#ports.maxAgeMs,
  ): Promise<TenantRecord | null> {
    const now = this.#ports.now();
    const remembered = this.#remembered(tenant);
    if (remembered === undefined || now - remembered.asOf >= maxAgeMs) return this.#ask(tenant);
    const isDue = now - remembered.asOf >= this.#ports.maxAgeMs / 3;
    if (isDue && now - remembered.askedAt >= ASK_AGAIN_MS) {
      remembered.askedAt = now;
      later(this.#refresh(tenant));
    }
    return remembered.record;
  }

  /** Takes what was learnt by other means, and asked for then. */
  put(tenant: string, record: TenantRecord | null, asOf: number): void {
    if (asOf < (this.#remembered(tenant)?.asOf ?? 0)) return;
    const age = { asOf, askedAt: asOf };
    if (record === null) {
      this.#known.delete(tenant);
      this.#unknown.set(tenant, { record, ...age });
    } else {
      this.#unknown.delete(tenant);
      this.#known.set(tenant, { record, ...age });
    }
  }

  async #ask(tenant: string): Promise<TenantRecord | null> {
    const asOf = this.#ports.now();
    const record = await this.#ports.read(tenant);
    this.put(tenant, record, asOf);
    return record;
  }

  /** Never rejects: what is known serves until it is too old. */
  async #refresh(tenant: string): Promise<void> {
    try {
      await this.#ask(tenant);
    } catch (error) {
      logFault("tenant.unreachable", { object: await tenantName(tenant) }, error);
    }
  }

  #remembered(tenant: string): Remembered<TenantRecord | null> | undefined {
    return this.#known.get(tenant) ?? this.#unknown.get(tenant);
  }
}
