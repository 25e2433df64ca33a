import { z } from "zod";

import { Tier } from "./job.ts";

/** What a key lets its holder do. */
export const Scope = z
  .enum(["jobs:read", "jobs:write", "webhooks", "batches", "admin"])
  .meta({ id: "Scope" });
export type Scope = z.infer<typeof Scope>;

/** A year: a key that is to live longer has no end. */
const MAX_LIFE_SECONDS = 31_536_000;
const WEEK_SECONDS = 604_800;

/** 39 characters, so that it fits a key, and a host name with something before it. */
export const TenantName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,38}$/, "must be 1–39 of a–z, 0–9 and -, and not begin with -")
  .meta({ example: "acme" });

const Scopes = z
  .array(Scope)
  .min(1)
  .refine((scopes) => new Set(scopes).size === scopes.length, "names a scope twice");

const LifeSeconds = z.int().min(1).max(MAX_LIFE_SECONDS).optional().meta({
  description: "How long the key is valid. Default: until it is revoked.",
});

const Instant = z.iso.datetime();
const submits = z.int().min(0).max(1_000_000_000);
const dollars = z.number().min(0).max(1_000_000_000);

/** Null: no limit. */
const Limits = z
  .object({
    submits_per_minute: submits.nullable(),
    max_queued: submits.nullable().meta({ description: "Jobs that have not ended." }),
    day_budget_usd: dollars.nullable(),
    month_budget_usd: dollars.nullable(),
  })
  .meta({ id: "TenantLimits" });

export const CreateTenant = z
  .strictObject({ tenant: TenantName, tier: Tier })
  .meta({ id: "CreateTenant", example: { tenant: "acme", tier: "pro" } });
export type CreateTenant = z.infer<typeof CreateTenant>;

export const ChangeTenant = z
  .strictObject({
    tier: Tier.optional(),
    limits: z
      .strictObject({
        submits_per_minute: submits.nullable().optional(),
        max_queued: submits.nullable().optional(),
        day_budget_usd: dollars.nullable().optional(),
        month_budget_usd: dollars.nullable().optional(),
      })
      .optional()
      .meta({ description: "The tenant's own; null gives a limit back to its tier." }),
  })
  .meta({ id: "ChangeTenant", example: { tier: "pro", limits: { day_budget_usd: 250 } } });
export type ChangeTenant = z.infer<typeof ChangeTenant>;

const listed = { tenant: z.string(), tier: Tier, limits: Limits, created_at: Instant };
const listedExample = {
  tenant: "acme",
  tier: "pro" as const,
  limits: {
    submits_per_minute: 600,
    max_queued: 10_000,
    day_budget_usd: 250,
    month_budget_usd: 1_000,
  },
  created_at: "2026-11-01T12:00:00.000Z",
};

/** A tenant as lists show it. */
export const ListedTenant = z.object(listed).meta({ id: "ListedTenant", example: listedExample });
export type ListedTenant = z.infer<typeof ListedTenant>;

/** A key as it is known after it was shown. */
export const KeyView = z
  .object({
    key_id: z.string(),
    scopes: z.array(Scope),
    created_at: Instant,
    expires_at: Instant.nullable().meta({ description: "Null: when it is revoked." }),
  })
  .meta({
    id: "KeyView",
    example: {
      key_id: "acme-k3Jd9f",
      scopes: ["jobs:read", "jobs:write"],
      created_at: "2026-11-01T12:00:00.000Z",
      expires_at: null,
    },
  });
export type KeyView = z.infer<typeof KeyView>;

export const TenantView = z
  .object({
    ...listed,
    own_limits: z.array(z.string()).meta({
      description: "Which of the limits are the tenant's own; the others are its tier's.",
    }),
    keys: z.array(KeyView),
  })
  .meta({
    id: "TenantView",
    example: { ...listedExample, own_limits: ["day_budget_usd"], keys: [] },
  });
export type TenantView = z.infer<typeof TenantView>;

export const TenantListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: TenantName.optional().meta({ description: "`next_cursor` of the page before." }),
});

export const TenantList = z
  .object({
    tenants: z.array(ListedTenant),
    has_more: z.boolean(),
    next_cursor: z.string().nullable(),
  })
  .meta({ id: "TenantList", example: { tenants: [], has_more: false, next_cursor: null } });
export type TenantList = z.infer<typeof TenantList>;

export const CreateKey = z
  .strictObject({ scopes: Scopes, expires_in_seconds: LifeSeconds })
  .meta({ id: "CreateKey", example: { scopes: ["jobs:read", "jobs:write"] } });
export type CreateKey = z.infer<typeof CreateKey>;

export const RotateKey = z
  .strictObject({
    overlap_seconds: z.int().min(0).max(WEEK_SECONDS).optional().meta({
      description:
        "How long the key before stays valid, if it was to live that long; 0 ends it at once. Default 86400, a day.",
    }),
    expires_in_seconds: LifeSeconds,
  })
  .meta({ id: "RotateKey", example: { overlap_seconds: 86_400 } });
export type RotateKey = z.infer<typeof RotateKey>;

const shown = {
  key_id: z.string(),
  key: z.string().meta({ description: "Shown this once." }),
  scopes: z.array(Scope),
  expires_at: Instant.nullable(),
};
const shownExample = {
  key_id: "acme-k3Jd9f",
  key: "aw_live_acme-k3Jd9f_<32 characters that are secret, and 6 that check them>",
  scopes: ["jobs:read" as const, "jobs:write" as const],
  expires_at: null,
};

export const KeyCreated = z.object(shown).meta({ id: "KeyCreated", example: shownExample });
export type KeyCreated = z.infer<typeof KeyCreated>;

export const KeyRotated = z
  .object({
    ...shown,
    previous_valid_until: Instant.nullable().meta({
      description: "Until then the key before is valid as well. Null: it has ended.",
    }),
  })
  .meta({
    id: "KeyRotated",
    example: { ...shownExample, previous_valid_until: "2026-11-02T12:00:00.000Z" },
  });
export type KeyRotated = z.infer<typeof KeyRotated>;

export const KeyList = z.object({ keys: z.array(KeyView) }).meta({
  id: "KeyList",
  example: { keys: [] },
});
export type KeyList = z.infer<typeof KeyList>;
