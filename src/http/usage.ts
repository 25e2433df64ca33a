import { createRoute, OpenAPIHono } from "@hono/zod-openapi";

import { usageQuery, usageView } from "../domain/usage-view.ts";
import { accountOf } from "../ledgers/account-stub.ts";
import { UsageQuery, UsageView } from "../schema/usage.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";

const usageRoute = createRoute({
  method: "get",
  path: "/api/usage",
  operationId: "readUsage",
  tags: ["usage"],
  summary: "What the tenant's jobs came to, and what its budgets have left",
  description:
    "Sums of jobs that have ended, by the day (UTC) they were submitted in. A job is in them within moments of its end.",
  ...needs("jobs:read"),
  request: { query: UsageQuery },
  responses: {
    200: { description: "The usage", content: { "application/json": { schema: UsageView } } },
    ...problems(400, 401, 403, 500, 503),
  },
});

export const usage = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

usage.openapi(usageRoute, async (c) => {
  const { from, to, group_by: groupBy } = c.req.valid("query");
  const now = Date.now();
  const query = usageQuery({ from: instantOf(from), to: instantOf(to), groupBy }, now);
  if (query.from >= query.to) {
    const detail = "from must be before to";
    throw new ApiError("invalid-request", detail, { errors: [{ pointer: "/from", detail }] });
  }
  const { tenant, limits } = c.get("principal");
  const account = await accountOf(c.env, tenant);
  const [used, { spent }] = await Promise.all([account.usage(query), account.balance(limits)]);
  return c.json(usageView(query, used, spent, limits, now), 200);
});

/** A date is its first instant, in UTC. */
function instantOf(text: string | undefined): number | null {
  return text === undefined ? null : Date.parse(text);
}
