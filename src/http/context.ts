import type { Config } from "../settings/config.ts";
import type { TenantLimits } from "../domain/tenant.ts";
import type { Tier } from "../schema/job.ts";
import type { Scope } from "../schema/tenant.ts";

/** Who asks: fixed by the credentials alone. */
export type Principal = {
  tenant: string;
  tier: Tier;
  limits: TenantLimits;
  scopes: readonly Scope[];
  /** Of the key that a tenant's record holds; null: let in by other means. */
  keyId: string | null;
  /** By a subscribe token: this job and no other, or this batch (tokens.ts), until then (epoch milliseconds). */
  only?: { jobId: string; until: number };
};

/** What a request carries through its handlers. */
export type App = {
  Bindings: Env;
  Variables: { requestId: string; config: Config; principal: Principal };
};
