import type { Context } from "hono";
import { createMiddleware } from "hono/factory";

import type { Config } from "../config.ts";
import { NO_LIMITS, type TenantLimits } from "../domain/tenant.ts";
import type { App, Principal, Scope } from "./context.ts";
import { readToken } from "../subscribe-token.ts";
import { ApiError } from "./errors.ts";

const EVERY_SCOPE: readonly Scope[] = ["jobs:read", "jobs:write", "webhooks", "admin"];

/** The seam of authentication: from the request's credentials to a principal, or 401. Nothing else decides who asks. */
export const authenticate = createMiddleware<App>(async (c, next) => {
  const principal = await principalOf(c.req.header("authorization"), c.get("config"));
  if (principal === null) throw unauthorized("A valid API key is required");
  c.set("principal", principal);
  await next();
});

/**
 * The same for what a browser follows a job by, which can send no Authorization: a subscribe token is taken as well, as
 * `?token=` or as the WebSocket subprotocol `bearer.<token>`.
 */
export const authenticateSubscriber = createMiddleware<App>(async (c, next) => {
  const token = tokenOf(c.req.query("token"), c.req.header("sec-websocket-protocol"));
  const hasKey = c.req.header("authorization") !== undefined;
  if (token === undefined || hasKey) return authenticate(c, next);
  const grant = await readToken(c.get("config"), token, Date.now());
  if (grant === null) throw unauthorized("The subscribe token is not valid, or no longer");
  const { tenant, jobId, expiresAt: until } = grant;
  const reader = { tenant, tier: "default", limits: NO_LIMITS, scopes: ["jobs:read"] } as const;
  c.set("principal", { ...reader, only: { jobId, until } });
  return next();
});

/** Aborted when what the caller was let in by expires; a key does not. */
export function expiryOf(c: Context<App>): AbortSignal {
  const { only } = c.get("principal");
  return only === undefined
    ? new AbortController().signal
    : AbortSignal.timeout(Math.max(0, only.until - Date.now()));
}

function tokenOf(query: string | undefined, subprotocols: string | undefined): string | undefined {
  const bearer = /(?:^|,)\s*bearer\.([^\s,]+)/.exec(subprotocols ?? "")?.[1];
  return query ?? bearer;
}

function unauthorized(detail: string): ApiError {
  const headers = { "www-authenticate": 'Bearer realm="afterword"' };
  return new ApiError("unauthorized", detail, { headers });
}

/** Lets in only who has this scope; comes after `authenticate`. */
export function requireScope(scope: Scope) {
  return createMiddleware<App>(async (c, next) => {
    if (!c.get("principal").scopes.includes(scope)) {
      throw new ApiError("forbidden", `This needs a key with the scope "${scope}"`);
    }
    await next();
  });
}

async function principalOf(header: string | undefined, config: Config): Promise<Principal | null> {
  const operator = { tier: "default", limits: limitsOf(config), scopes: EVERY_SCOPE } as const;
  if (config.AUTH_MODE === "none") return { tenant: "dev", ...operator };
  const key = /^Bearer +([\x21-\x7e]{1,255})$/i.exec(header ?? "")?.[1];
  if (key === undefined || config.ADMIN_API_KEY === undefined) return null;
  const same = await equal(key, config.ADMIN_API_KEY);
  return same ? { tenant: "admin", ...operator } : null;
}

/** What the settings let every tenant do. */
function limitsOf(config: Config): TenantLimits {
  return {
    submitsPerMinute: config.SUBMITS_PER_MINUTE ?? null,
    maxQueued: config.MAX_QUEUED_JOBS ?? null,
    dayBudgetUsd: config.DAY_BUDGET_USD ?? null,
    monthBudgetUsd: config.MONTH_BUDGET_USD ?? null,
  };
}

/** In constant time. Digests, because timingSafeEqual needs equal lengths and a length is a hint too. */
async function equal(a: string, b: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [left, right] = await Promise.all(
    [a, b].map((text) => crypto.subtle.digest("SHA-256", encoder.encode(text))),
  );
  return left !== undefined && right !== undefined && crypto.subtle.timingSafeEqual(left, right);
}
