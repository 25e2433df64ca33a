import type { Quota } from "../domain/account.ts";
import { RATE_WINDOW_MS } from "../domain/rate.ts";

/**
 * What a tenant may do and what is left of it. `submit`: jobs in a minute; `queued`: jobs that have not ended.
 * Source: draft-ietf-httpapi-ratelimit-headers-11, of which these are structured fields.
 */
export function rateLimitHeaders({ rate, depth }: Quota): Record<string, string> {
  const policies: string[] = [];
  const limits: string[] = [];
  if (rate !== null) {
    const window = RATE_WINDOW_MS / 1_000;
    policies.push(`"submit";q=${rate.limit};w=${window}`);
    const reset = rate.resetMs === null ? "" : `;t=${seconds(rate.resetMs)}`;
    limits.push(`"submit";r=${rate.left}${reset}`);
  }
  if (depth !== null) {
    policies.push(`"queued";q=${depth.limit};qu="concurrent-requests"`);
    limits.push(`"queued";r=${depth.left}`);
  }
  if (policies.length === 0) return {};
  return { "ratelimit-policy": policies.join(", "), ratelimit: limits.join(", ") };
}

/** Whole seconds, so that whoever waits for them does not come too early. */
export function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}
