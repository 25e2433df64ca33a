import { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";

import { configOf } from "../settings/config.ts";
import { batchReads } from "./batch-reads.ts";
import { batchResults } from "./batch-results.ts";
import { batches } from "./batches.ts";
import type { App } from "./context.ts";
import { deadLetterRoutes } from "./dead-letters.ts";
import { deadLetterOperations } from "./dead-letter-operations.ts";
import { DOCUMENT } from "./document.ts";
import { ApiError, onError } from "./errors.ts";
import { deliveries } from "./deliveries.ts";
import { events } from "./events.ts";
import { health } from "./health.ts";
import { randomToken } from "../ids.ts";
import { jobSteps } from "./job-steps.ts";
import { jobs } from "./jobs.ts";
import { providers } from "./providers.ts";
import { reads } from "./reads.ts";
import { retries } from "./retries.ts";
import { metrics } from "./metrics.ts";
import { listing } from "./listing.ts";
import { sockets } from "./sockets.ts";
import { tokens } from "./tokens.ts";
import { submissions } from "./submissions.ts";
import { stats } from "./stats.ts";
import { tenantKeys } from "./tenant-keys.ts";
import { tenants } from "./tenants.ts";
import { usage } from "./usage.ts";
import { documentWebhooks } from "./webhook-document.ts";
import { webhooks } from "./webhooks.ts";

/** What every answer carries. A 101 has its headers already, and copying it would lose its socket. */
const frame = createMiddleware<App>(async (c, next) => {
  c.set("requestId", `req_${randomToken(12)}`);
  await next();
  if (c.res.status === 101) return;
  c.header("x-request-id", c.get("requestId"));
  c.header("x-content-type-options", "nosniff");
  if (!c.res.headers.has("cache-control")) c.header("cache-control", "private, no-store");
});

const configure = createMiddleware<App>(async (c, next) => {
  c.set("config", configOf(c.env));
  await next();
  if (c.get("config").AUTH_MODE === "none" && c.res.status !== 101) c.header("x-auth-mode", "none");
});

/** Before anything reads them: what is in them is parsed, compared and hashed. */
const boundHeaders = createMiddleware<App>(async (c, next) => {
  const { MAX_HEADER_BYTES } = c.get("config");
  let bytes = 0;
  for (const [name, value] of c.req.raw.headers) bytes += name.length + value.length;
  if (bytes > MAX_HEADER_BYTES) {
    const detail = `The headers are larger than ${MAX_HEADER_BYTES} bytes`;
    throw new ApiError("headers-too-large", detail);
  }
  await next();
});

/** No cookies, so nothing rides along with a request from a foreign page. */
const anyOrigin = cors({
  origin: "*",
  allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE"],
  allowHeaders: [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "prefer",
  ],
  exposeHeaders: [
    "location",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "x-request-id",
    "idempotent-replayed",
    "etag",
  ],
  maxAge: 600,
});

/** The whole HTTP face: middleware in its order, the routes, the document made of them. */
export function createApp(): OpenAPIHono<App> {
  const app = new OpenAPIHono<App>();
  app.onError(onError);
  app.notFound((c) => onError(new ApiError("not-found", "There is nothing here"), c));
  app.use(frame);
  app.use(configure);
  app.use("/api/*", anyOrigin);
  app.use("/openapi.json", anyOrigin);
  app.use("/health", anyOrigin);
  app.use(boundHeaders);
  app.route("/", submissions);
  app.route("/", jobs);
  app.route("/", jobSteps);
  app.route("/", reads);
  app.route("/", tokens);
  app.route("/", retries);
  app.route("/", listing);
  app.route("/", batches);
  app.route("/", batchReads);
  app.route("/", batchResults);
  app.route("/", events);
  app.route("/", sockets);
  app.route("/", stats);
  app.route("/", metrics);
  app.route("/", providers);
  app.route("/", usage);
  app.route("/", webhooks);
  app.route("/", deliveries);
  app.route("/", deadLetterRoutes);
  app.route("/", deadLetterOperations);
  app.route("/", tenants);
  app.route("/", tenantKeys);
  app.route("/", health);
  documentWebhooks(app);
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
  });
  // Made once: it is the same for everybody.
  let document: string | undefined;
  app.get("/openapi.json", (c) => {
    document ??= JSON.stringify(app.getOpenAPI31Document(DOCUMENT));
    return c.body(document, 200, { "content-type": "application/json" });
  });
  return app;
}
