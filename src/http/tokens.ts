import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";

import { iso } from "../domain/instant.ts";
import { Subscription } from "../schema/token.ts";
import { issueToken } from "../secrets/subscribe-token.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { found, JobParams, jobStub } from "./jobs.ts";

const tokenRoute = createRoute({
  method: "post",
  path: "/api/jobs/{id}/tokens",
  operationId: "issueSubscribeToken",
  tags: ["events"],
  summary: "A fresh token for a browser to follow a job by",
  description:
    "Reads this one job and nothing else, for minutes. Connections that were opened with it are closed when it expires.",
  ...needs("jobs:read"),
  request: { params: JobParams },
  responses: {
    201: { description: "The token", content: { "application/json": { schema: Subscription } } },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

export const tokens = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

tokens.openapi(tokenRoute, async (c) => {
  const { id } = c.req.valid("param");
  found(await (await jobStub(c, id)).glance());
  return c.json(await subscriptionTo(c, id), 201);
});

/** What a browser follows one of the caller's jobs by. */
export async function subscriptionTo(c: Context<App>, jobId: string): Promise<Subscription> {
  const { subscribe_token, expiresAt } = await tokenFor(c, jobId);
  const events_url = `/api/jobs/${jobId}/events?token=${subscribe_token}`;
  return { subscribe_token, events_url, expires_at: iso(expiresAt) };
}

/** The path by which a browser follows one of the caller's batches. */
export async function batchEventsUrl(c: Context<App>, batchId: string): Promise<string> {
  const { subscribe_token } = await tokenFor(c, batchTokenId(batchId));
  return `/api/batches/${batchId}/events?token=${subscribe_token}`;
}

/** What a token for a batch names in the place of a job's id. No job has such an id, so it reads none. */
export function batchTokenId(batchId: string): string {
  return `batch:${batchId}`;
}

async function tokenFor(c: Context<App>, jobId: string) {
  const config = c.get("config");
  const { tenant } = c.get("principal");
  const expiresAt = Date.now() + config.SUBSCRIBE_TOKEN_SECONDS * 1_000;
  return { subscribe_token: await issueToken(config, { tenant, jobId, expiresAt }), expiresAt };
}
