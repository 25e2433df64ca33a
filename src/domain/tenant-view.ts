import type { KeyView, ListedTenant, TenantView } from "../schema/tenant.ts";
import { iso } from "./instant.ts";
import { limitsOf, type LimitSettings, type OwnLimits, type TenantLimits } from "./tenant.ts";
import { validKeys, type KeptKey, type TenantRecord } from "./tenant-record.ts";

/** The limits as they are called on the wire. */
const NAMES = {
  submitsPerMinute: "submits_per_minute",
  maxQueued: "max_queued",
  dayBudgetUsd: "day_budget_usd",
  monthBudgetUsd: "month_budget_usd",
} as const satisfies Record<keyof TenantLimits, string>;

export function listedTenant(record: TenantRecord, settings: LimitSettings): ListedTenant {
  const { tenant, tier, createdAt } = record;
  const limits = limitsOf(record.tier, record.limits, settings);
  return {
    tenant,
    tier,
    limits: {
      submits_per_minute: limits.submitsPerMinute,
      max_queued: limits.maxQueued,
      day_budget_usd: limits.dayBudgetUsd,
      month_budget_usd: limits.monthBudgetUsd,
    },
    created_at: iso(createdAt),
  };
}

/** A tenant with its keys, of which nothing is shown that helps to guess one. */
export function tenantView(record: TenantRecord, settings: LimitSettings, now: number): TenantView {
  return {
    ...listedTenant(record, settings),
    own_limits: ownNames(record.limits),
    keys: keyViews(record, now),
  };
}

export function keyViews(record: TenantRecord, now: number): KeyView[] {
  return validKeys(record, now).map(keyView);
}

function keyView({ id, scopes, createdAt, expiresAt }: KeptKey): KeyView {
  const expires_at = expiresAt === null ? null : iso(expiresAt);
  return { key_id: id, scopes: [...scopes], created_at: iso(createdAt), expires_at };
}

function ownNames(own: OwnLimits): string[] {
  const names = Object.keys(NAMES) as (keyof TenantLimits)[];
  return names.filter((name) => own[name] !== undefined).map((name) => NAMES[name]);
}
