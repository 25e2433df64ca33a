import { describe, expect, it } from "vitest";

import { ConfigError, parseConfig } from "../../src/settings/config.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const CANARY = "canary-7f3a";

describe("what tenants may do and spend", () => {
  it("is one number for all tiers, or one for each that is named, null for no limit", () => {
    const { limits } = parseConfig({
      SIGNING_KEY,
      SUBMITS_PER_MINUTE: "60",
      MAX_QUEUED_JOBS: 7,
      DAY_BUDGET_USD: '{"free": 0.5, "enterprise": null}',
      MONTH_BUDGET_USD: { pro: 100 },
    });
    expect(limits).toEqual({
      submitsPerMinute: { free: 60, pro: 60, enterprise: 60, default: 60 },
      maxQueued: { free: 7, pro: 7, enterprise: 7, default: 7 },
      dayBudgetUsd: { free: 0.5, enterprise: null },
      monthBudgetUsd: { pro: 100 },
      presumed: true,
    });
  });

  it("is presumed where nothing is set, but not on a laptop", () => {
    const unset = { submitsPerMinute: {}, maxQueued: {}, dayBudgetUsd: {}, monthBudgetUsd: {} };
    expect(parseConfig({ SIGNING_KEY }).limits).toEqual({ ...unset, presumed: true });
    expect(parseConfig({ AUTH_MODE: "none" }).limits).toEqual({ ...unset, presumed: false });
  });
});

describe("a deployment without keys", () => {
  const ADMIN_API_KEY = `${CANARY}-0123456789-0123456789-0123`;

  it.each<[string, object]>([
    ["ADMIN_API_KEY", { ADMIN_API_KEY }],
    ["KEY_ENVIRONMENT", { KEY_ENVIRONMENT: "live" }],
    ["PREVIOUS_SIGNING_KEY", { PREVIOUS_SIGNING_KEY: ADMIN_API_KEY }],
  ])("is refused beside %s, by the names of both", (name, production) => {
    const parse = () => parseConfig({ AUTH_MODE: "none", ...production });
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(new RegExp(`AUTH_MODE=none.*${name}`));
    expect(parse).not.toThrow(CANARY);
    expect(() => parseConfig({ AUTH_MODE: "keys", SIGNING_KEY, ...production })).not.toThrow();
  });

  it("makes and takes test keys, and one with keys live ones unless told otherwise", () => {
    expect(parseConfig({ AUTH_MODE: "none" }).KEY_ENVIRONMENT).toBe("test");
    expect(parseConfig({ SIGNING_KEY }).KEY_ENVIRONMENT).toBe("live");
    expect(parseConfig({ SIGNING_KEY, KEY_ENVIRONMENT: "test" }).KEY_ENVIRONMENT).toBe("test");
  });

  it("may have the providers' keys and a root of its own", () => {
    const env = { AUTH_MODE: "none", OPENAI_API_KEY: "key", SIGNING_KEY };
    expect(() => parseConfig(env)).not.toThrow();
  });
});
