import { createRoute, OpenAPIHono } from "@hono/zod-openapi";

import type { DeliveryOutcome } from "../domain/delivery.ts";
import { iso } from "../domain/instant.ts";
import { webhookUrlFault } from "../domain/webhook-url.ts";
import { gateName, randomToken, tenantName } from "../ids.ts";
import type { GateRpc } from "../ledgers/gate-rpc.ts";
import { gateNamed } from "../ledgers/gate-stub.ts";
import { tenantNamed } from "../ledgers/tenant-stub.ts";
import { logFault } from "../log.ts";
import {
  RotateWebhookSecret,
  TestWebhook,
  WebhookSecretRotated,
  WebhookTested,
} from "../schema/webhook.ts";
import { attemptDelivery, type Delivery } from "../webhook.ts";
import { webhookUrlRules } from "../submit/plan-webhook.ts";
import { needs } from "./auth.ts";
import { jsonBody, optionalJsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";

const tags = ["webhooks"];

/** A day: long enough to bring the new secret to every receiver. */
const OVERLAP_SECONDS = 86_400;

const rotateRoute = createRoute({
  method: "post",
  path: "/api/webhook-secret/rotate",
  operationId: "rotateWebhookSecret",
  tags,
  summary: "Make a new webhook secret",
  description:
    "Also the first. The secrets before stay valid for the overlap, none longer than it was to be: meanwhile each delivery is signed with all of them, newest first. At most five are valid at once.",
  ...needs("webhooks", optionalJsonBody),
  request: {
    body: { required: false, content: { "application/json": { schema: RotateWebhookSecret } } },
  },
  responses: {
    200: {
      description: "The new secret",
      content: { "application/json": { schema: WebhookSecretRotated } },
    },
    ...problems(400, 401, 403, 413, 415, 500, 503),
  },
});

const testRoute = createRoute({
  method: "post",
  path: "/api/webhook-test",
  operationId: "testWebhook",
  tags,
  summary: "Send a sample to a webhook",
  description:
    "One attempt, signed as every delivery is, with an event of the type `webhook.test`. 429 while as many deliveries as there may be are on their way to the same origin.",
  ...needs("webhooks", jsonBody),
  request: {
    body: { required: true, content: { "application/json": { schema: TestWebhook } } },
  },
  responses: {
    200: {
      description: "What came of it",
      content: { "application/json": { schema: WebhookTested } },
    },
    ...problems(400, 401, 403, 413, 415, 422, 429, 500, 503),
  },
});

export const webhooks = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

webhooks.openapi(rotateRoute, async (c) => {
  const { overlap_seconds = OVERLAP_SECONDS } = c.req.valid("json");
  const tenant = tenantNamed(c.env, await tenantName(c.get("principal").tenant));
  const { secret, previousValidUntil } = await tenant.rotateWebhookSecret(overlap_seconds);
  const previous_valid_until = previousValidUntil === null ? null : iso(previousValidUntil);
  return c.json({ secret, previous_valid_until }, 200);
});

webhooks.openapi(testRoute, async (c) => {
  const { url } = c.req.valid("json");
  const rules = webhookUrlRules(new URL(c.req.url).origin, c.get("config"));
  const fault = webhookUrlFault(url, rules);
  if (fault !== null) {
    const errors = [{ pointer: "/url", detail: fault }];
    throw new ApiError("webhook-url-rejected", `url: ${fault}`, { errors });
  }
  const { tenant } = c.get("principal");
  const secrets = await tenantNamed(c.env, await tenantName(tenant)).webhookSecrets();
  if (secrets === null) {
    const detail = "SIGNING_KEY is not what the webhook secrets were sealed under";
    throw new ApiError("internal-error", detail);
  }
  const { newest, older } = secrets;
  const id = `msg_${randomToken(16)}`;
  const body = sampleAt(Date.now());
  const sample = { id, url, body, headers: {}, secrets: [newest, ...older] } as const;
  const gate = gateNamed(c.env, await gateName(tenant, url));
  const { outcome, left } = await deliverThrough(gate, sample, c.get("config").WEBHOOK_TIMEOUT_MS);
  c.executionCtx.waitUntil(left);
  const { type, status, latencyMs, error } = outcome;
  return c.json({ success: type === "delivered", status, latency_ms: latencyMs, error }, 200);
});

type Delivered = { outcome: DeliveryOutcome; left: Promise<void> };

async function deliverThrough(
  gate: GateRpc,
  delivery: Delivery,
  limitMs: number,
): Promise<Delivered> {
  const { id } = delivery;
  const entry = await gate.enter(id);
  if (entry.type === "wait") {
    const headers = { "retry-after": String(entry.delaySeconds) };
    const detail = "Too many deliveries are on their way to this origin; try again later";
    throw new ApiError("too-many-requests", detail, { headers });
  }
  const outcome = await attemptDelivery(delivery, { fetch, now: Date.now, limitMs });
  return { outcome, left: leave(gate, id, outcome.latencyMs) };
}

/** Never rejects: a pass that is not given back expires. */
async function leave(gate: GateRpc, pass: string, latencyMs: number): Promise<void> {
  try {
    await gate.leave(pass, latencyMs);
  } catch (error) {
    logFault("gate.not_left", { webhook_id: pass }, error);
  }
}

/** An event in the form that all have, of a type that no job sends. */
function sampleAt(now: number): string {
  const type = "webhook.test";
  const data = { message: "This is a test: no job has ended." };
  return JSON.stringify({ type, timestamp: iso(now), data, event: type });
}
