import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  limitsOf,
  NO_LIMITS,
  type LimitSettings,
  type OwnLimits,
} from "../../src/domain/tenant.ts";
import {
  changed,
  ending,
  MAX_KEYS,
  mayHave,
  rehashed,
  validKey,
  validKeys,
  withKey,
  withoutKey,
  type KeptKey,
  type TenantRecord,
} from "../../src/domain/tenant-record.ts";
import { tenantView } from "../../src/domain/tenant-view.ts";
import { Tier } from "../../src/schema/job.ts";

const NOW = Date.parse("2026-11-01T12:00:00.000Z");
const UNSET = { submitsPerMinute: {}, maxQueued: {}, dayBudgetUsd: {}, monthBudgetUsd: {} };
const KEYS: LimitSettings = { ...UNSET, presumed: true };
const OPEN: LimitSettings = { ...UNSET, presumed: false };

function key(id: string, expiresAt: number | null = null): KeptKey {
  return { id, hash: `hash of ${id}`, scopes: ["jobs:read"], createdAt: NOW, expiresAt };
}

function tenant(...keys: KeptKey[]): TenantRecord {
  return { tenant: "acme", tier: "pro", limits: {}, createdAt: NOW, keys };
}

describe("a tenant's limits", () => {
  it.each<[Tier, [number, number, number, number]]>([
    ["free", [60, 1_000, 5, 50]],
    ["pro", [600, 10_000, 100, 1_000]],
    ["enterprise", [6_000, 100_000, 1_000, 20_000]],
    ["default", [600, 10_000, 100, 1_000]],
  ])("of the tier %s are these where nobody has set any", (tier, numbers) => {
    expect(Object.values(limitsOf(tier, {}, KEYS))).toEqual(numbers);
  });

  it("are none where everybody is let in, unless they are set", () => {
    expect(limitsOf("default", {}, OPEN)).toEqual(NO_LIMITS);
    const settings = { ...OPEN, dayBudgetUsd: { default: 1 } };
    expect(limitsOf("default", {}, settings)).toEqual({ ...NO_LIMITS, dayBudgetUsd: 1 });
  });

  it("are its own, else as set for its tier, where null is none, else its tier's", () => {
    const settings = { ...KEYS, maxQueued: { pro: 7 }, dayBudgetUsd: { pro: null, free: 1 } };
    const limits = { submitsPerMinute: 600, maxQueued: 7, dayBudgetUsd: null };
    expect(limitsOf("pro", {}, settings)).toEqual({ ...limits, monthBudgetUsd: 1_000 });
    const own = { dayBudgetUsd: 0, maxQueued: 3 };
    expect(limitsOf("pro", own, settings)).toMatchObject(own);
  });

  it("in AUTH_MODE=keys are never missing by an oversight: only null takes one away", () => {
    const limit = fc.option(fc.nat(), { nil: undefined });
    const own = fc.record({
      dayBudgetUsd: limit,
      monthBudgetUsd: limit,
    }) as fc.Arbitrary<OwnLimits>;
    const set = fc.dictionary(fc.constantFrom(...Tier.options), fc.nat());
    fc.assert(
      fc.property(fc.constantFrom(...Tier.options), own, set, (tier, own, dayBudgetUsd) => {
        const limits = limitsOf(tier, own, { ...KEYS, dayBudgetUsd });
        expect(Object.values(limits).every((limit) => typeof limit === "number")).toBe(true);
      }),
    );
  });

  it("change one at a time, and null gives one back to the tier", () => {
    const own = changed(tenant(), { limits: { dayBudgetUsd: 9, maxQueued: 2 } });
    expect(own).toMatchObject({ tier: "pro", limits: { dayBudgetUsd: 9, maxQueued: 2 } });
    const less = changed(own, { tier: "free", limits: { maxQueued: null } });
    expect(less).toEqual({ ...own, tier: "free", limits: { dayBudgetUsd: 9 } });
    expect(changed(less, {})).toEqual(less);
  });
});

describe("a tenant's keys", () => {
  it("are valid until their time, if they have one", () => {
    const record = tenant(key("forever"), key("ends", NOW + 1));
    expect(validKey(record, "forever", Infinity)?.id).toBe("forever");
    expect(validKey(record, "ends", NOW)?.id).toBe("ends");
    expect(validKey(record, "ends", NOW + 1)).toBeNull();
    expect(validKey(record, "none", NOW)).toBeNull();
    expect(validKey(null, "forever", NOW)).toBeNull();
  });

  it("are so many and no more, of which those that have ended do not count", () => {
    const full = tenant(...Array.from({ length: MAX_KEYS - 1 }, (_, at) => key(`${at}`)));
    const ended = { ...full, keys: [...full.keys, key("ended", NOW)] };
    const added = withKey(ended, key("new"), NOW);
    expect(added?.keys.map(({ id }) => id)).toEqual([...full.keys.map(({ id }) => id), "new"]);
    expect(withKey(added ?? full, key("one more"), NOW)).toBeNull();
    expect(withKey(added ?? full, key("new"), NOW)).toEqual(added);
  });

  it("live through a rotation for the overlap, and no longer than they were to", () => {
    const record = tenant(key("forever"), key("soon", NOW + 5), key("other"));
    expect(validKey(ending(record, "forever", NOW + 9), "forever", NOW)?.expiresAt).toBe(NOW + 9);
    expect(validKey(ending(record, "soon", NOW + 9), "soon", NOW)?.expiresAt).toBe(NOW + 5);
    expect(validKeys(ending(record, "other", NOW), NOW).map(({ id }) => id)).toEqual([
      "forever",
      "soon",
    ]);
  });

  it("go when they are revoked, others stay, and an id that is none's is no matter", () => {
    const record = tenant(key("one"), key("two"));
    expect(withoutKey(record, "one")).toEqual(tenant(key("two")));
    expect(withoutKey(record, "none")).toEqual(record);
  });

  it("are kept under another hash only where the hash is still the one that was read", () => {
    const record = tenant(key("one"), key("two"));
    const hashes = { from: "hash of one", to: "new" };
    expect(rehashed(record, "one", hashes).keys).toEqual([
      { ...key("one"), hash: "new" },
      key("two"),
    ]);
    expect(rehashed(record, "two", hashes)).toEqual(record);
  });

  it("may do what operators do only where they are the operator's", () => {
    expect(mayHave("admin", ["admin", "jobs:read"])).toBe(true);
    expect(mayHave("acme", ["jobs:read", "admin"])).toBe(false);
    expect(mayHave("acme", ["jobs:read", "jobs:write", "webhooks", "batches"])).toBe(true);
  });

  it("are shown without what helps to guess one, and only while they are valid", () => {
    const record = { ...tenant(key("one"), key("ended", NOW)), limits: { maxQueued: 3 } };
    const view = tenantView(record, KEYS, NOW);
    expect(view).toMatchObject({
      limits: { max_queued: 3, day_budget_usd: 100 },
      own_limits: ["max_queued"],
      keys: [{ key_id: "one", scopes: ["jobs:read"], expires_at: null }],
    });
    expect(view.keys).toHaveLength(1);
    expect(JSON.stringify(view)).not.toContain("hash of");
  });
});
