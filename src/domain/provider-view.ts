import type { ProviderLimits, ProviderView } from "../schema/provider.ts";
import { iso } from "./instant.ts";
import type { Lane } from "./lane.ts";
import type { Limits } from "./permits.ts";
import type { LearnedModels, LimitSetting } from "./provider-limits.ts";

/** How a provider stands: the limits that hold, what they come of, and who waits. */
export type ProviderState = {
  limits: Limits;
  order: LimitSetting;
  setting: LimitSetting;
  fallback: Limits;
  learned: LearnedModels;
  paused: boolean;
  /** Epoch milliseconds. */
  blockedUntil: number;
  parked: Record<Lane, number>;
  /** When the oldest of the parked jobs became due, epoch milliseconds; null: there is none. An older version does not say. */
  oldestParkedAt?: number | null;
};

/** How a provider is; `state` null: its object did not say. */
export type ProviderReport = { provider: string; state: ProviderState | null };

/** The same as an operator sees it. */
export function providerView(provider: string, state: ProviderState, now: number): ProviderView {
  const { limits, order, setting, fallback, learned, paused, blockedUntil, parked } = state;
  return {
    provider,
    ...limitsView(limits),
    paused,
    blocked_until: blockedUntil > now ? iso(blockedUntil) : null,
    parked,
    ordered: limitsView(order),
    configured: limitsView({
      requests: setting.requests ?? fallback.requests,
      tokens: setting.tokens ?? fallback.tokens,
    }),
    learned: Object.entries(learned).map(([model, { requests, tokens, at }]) => ({
      model,
      requests_per_minute: requests,
      tokens_per_minute: tokens,
      at: iso(at),
    })),
  };
}

function limitsView({ requests, tokens }: LimitSetting): ProviderLimits {
  return { requests_per_minute: requests, tokens_per_minute: tokens };
}
