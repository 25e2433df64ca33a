import type { Config } from "./config.ts";
import { HTTP } from "../domain/course.ts";
import type { Limits } from "../domain/permits.ts";
import type { Concurrency } from "../domain/places.ts";
import type { LimitSetting } from "../domain/provider-limits.ts";
import { isProvider, PROVIDERS, SIMULATOR } from "../provider/table.ts";

/** What is asked of an account in a minute while nobody has said what it bears: every provider's smallest bears it. */
const UNSAID_REQUESTS_PER_MINUTE = 50;

const NOTHING = { requests: null, tokens: null };

/** Whether it is a provider that can be limited: one of the table, the simulator, or what `http` steps ask. */
export function isLimited(name: string): boolean {
  return isProvider(name) || name === SIMULATOR || name === HTTP;
}

/** The providers whom jobs may wait for. */
export function providersIn({ providers, AUTH_MODE }: Config): string[] {
  return [...Object.keys(providers), HTTP, ...(AUTH_MODE === "none" ? [SIMULATOR] : [])];
}

/**
 * What the settings say of a provider's limits, and what holds where they say nothing: one that needs no key has no
 * account that could be limited.
 */
export function limitSettingOf(
  name: string,
  { providers }: Config,
): { setting: LimitSetting; fallback: Limits } {
  const access = isProvider(name) ? providers[name] : undefined;
  if (!isProvider(name) || access === undefined) return { setting: NOTHING, fallback: NOTHING };
  const requests = PROVIDERS[name].needsKey ? UNSAID_REQUESTS_PER_MINUTE : null;
  return { setting: access.limits, fallback: { requests, tokens: null } };
}

/** The part of a lane's places that `http` steps have: however slow what they ask is, models have the rest. */
const HTTP_SHARE = 1 / 3;

/** One tenant's part of those, so that nobody's URLs, however slow, are in everybody's way. */
const HTTP_TENANT_SHARE = 1 / 4;

/** The part of a lane's places that one tenant may have at this provider; null: all. */
export function tenantShareOf(name: string): number | null {
  return name === HTTP ? HTTP_TENANT_SHARE : null;
}

/** How many calls of each lane one provider has at once, at most. */
export function concurrencyOf(name: string, config: Config): Concurrency {
  const share = name === HTTP ? HTTP_SHARE : 1;
  const places = (setting: number) => Math.max(1, Math.floor(setting * share));
  return {
    high: places(config.LANE_CONCURRENCY_HIGH),
    normal: places(config.LANE_CONCURRENCY_NORMAL),
    low: places(config.LANE_CONCURRENCY_LOW),
    long: places(config.LANE_CONCURRENCY_LONG),
  };
}
