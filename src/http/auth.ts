import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";

import { limitsOf, NO_LIMITS } from "../domain/tenant.ts";
import type { Scope } from "../schema/tenant.ts";
import { readToken } from "../secrets/subscribe-token.ts";
import type { App, Principal } from "./context.ts";
import { ApiError } from "./errors.ts";
import { everything, keyHolder, revocationOf } from "./key-holder.ts";

/** The seam of authentication: from the request's credentials to a principal, or 401. Nothing else decides who asks. */
export const authenticate = createMiddleware<App>(async (c, next) => {
  const principal = await principalOf(c);
  if (principal === null) throw unauthorized("A valid API key is required");
  c.set("principal", principal);
  await next();
});

/**
 * The same for what a browser follows a log by, which can send no Authorization: a subscribe token is taken as well, as
 * `?token=` or as the WebSocket subprotocol `bearer.<token>`. It is as good as a key with the scope `scope`, for what it names.
 */
function authenticateSubscriber(scope: Scope) {
  return createMiddleware<App>(async (c, next) => {
    const token = tokenOf(c.req.query("token"), c.req.header("sec-websocket-protocol"));
    const hasKey = c.req.header("authorization") !== undefined;
    if (token === undefined || hasKey) return authenticate(c, next);
    const grant = await readToken(c.get("config"), token, Date.now());
    if (grant === null) throw unauthorized("The subscribe token is not valid, or no longer");
    const { tenant, jobId, expiresAt: until } = grant;
    const reader = { tenant, tier: "default", limits: NO_LIMITS, scopes: [scope] } as const;
    c.set("principal", { ...reader, keyId: null, only: { jobId, until } });
    return next();
  });
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

/** What makes a route need a key with this scope, and the document say so. `then`: what comes after. */
export function needs(scope: Scope, ...then: MiddlewareHandler<App>[]) {
  return {
    security: [{ bearer: [scope] }],
    middleware: [authenticate, requireScope(scope), ...then],
  };
}

/** The same for a route that follows a log. */
export function needsToFollow(scope: "jobs:read" | "batches") {
  return {
    security: [{ bearer: [scope] }],
    middleware: [authenticateSubscriber(scope), requireScope(scope)],
  };
}

/** Aborted when what the caller was let in by expires or is revoked. A key is looked after until `over`. */
export function expiryOf(c: Context<App>, over: AbortSignal): AbortSignal {
  const { only } = c.get("principal");
  return only === undefined
    ? revocationOf(c, over)
    : AbortSignal.timeout(Math.max(0, only.until - Date.now()));
}

/** Does what may be held for long, with a signal that is aborted when the caller has gone or may no longer know. */
export async function whileLetIn<T>(
  c: Context<App>,
  held: (gone: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  try {
    return await held(AbortSignal.any([c.req.raw.signal, expiryOf(c, over.signal)]));
  } finally {
    over.abort();
  }
}

function tokenOf(query: string | undefined, subprotocols: string | undefined): string | undefined {
  const bearer = /(?:^|,)\s*bearer\.([^\s,]+)/.exec(subprotocols ?? "")?.[1];
  return query ?? bearer;
}

function unauthorized(detail: string): ApiError {
  const headers = { "www-authenticate": 'Bearer realm="afterword"' };
  return new ApiError("unauthorized", detail, { headers });
}

async function principalOf(c: Context<App>): Promise<Principal | null> {
  const { AUTH_MODE, limits } = c.get("config");
  if (AUTH_MODE === "none") return everything("dev", limitsOf("default", {}, limits));
  const key = /^Bearer +([\x21-\x7e]{1,255})$/i.exec(c.req.header("authorization") ?? "")?.[1];
  return key === undefined ? null : keyHolder(c, key);
}
