import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";

import { providerView } from "../domain/provider-view.ts";
import { providerNamed } from "../ledgers/provider-stub.ts";
import { isLimited } from "../settings/limit-setting.ts";
import { ProviderOrder, ProviderView } from "../schema/provider.ts";
import { needs } from "./auth.ts";
import { jsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";

const params = z.object({
  name: z.string().meta({ param: { name: "name", in: "path" }, example: "openai" }),
});

const content = { "application/json": { schema: ProviderView } };

const readRoute = createRoute({
  method: "get",
  path: "/api/admin/providers/{name}",
  operationId: "readProvider",
  tags: ["admin"],
  summary: "See a provider's limits, and who waits for it",
  ...needs("admin"),
  request: { params },
  responses: {
    200: { description: "The provider", content },
    ...problems(401, 403, 404, 500, 503),
  },
});

const orderRoute = createRoute({
  method: "put",
  path: "/api/admin/providers/{name}",
  operationId: "orderProvider",
  tags: ["admin"],
  summary: "Limit, pause or resume a provider",
  description:
    "Holds until it is ordered otherwise, over deploys too. Consumers that have permits ahead hear of it within ten seconds.",
  ...needs("admin", jsonBody),
  request: {
    params,
    body: { required: true, content: { "application/json": { schema: ProviderOrder } } },
  },
  responses: {
    200: { description: "The provider", content },
    ...problems(400, 401, 403, 404, 413, 415, 500, 503),
  },
});

export const providers = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

providers.openapi(readRoute, async (c) => {
  const name = knownName(c.req.valid("param").name);
  const state = await providerNamed(c.env, name).state();
  return c.json(providerView(name, state, Date.now()), 200);
});

providers.openapi(orderRoute, async (c) => {
  const name = knownName(c.req.valid("param").name);
  const { requests_per_minute, tokens_per_minute, paused } = c.req.valid("json");
  const state = await providerNamed(c.env, name).order({
    ...(requests_per_minute === undefined ? {} : { requests: requests_per_minute }),
    ...(tokens_per_minute === undefined ? {} : { tokens: tokens_per_minute }),
    ...(paused === undefined ? {} : { paused }),
  });
  return c.json(providerView(name, state, Date.now()), 200);
});

/** No object is named by what somebody made up. */
function knownName(name: string): string {
  if (isLimited(name)) return name;
  throw new ApiError("provider-not-found", "Provider not found");
}
