import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import { makeApiKey } from "../secrets/api-key-hash.ts";
import { iso } from "../domain/instant.ts";
import { mayHave, MAX_KEYS, OPERATOR, validKey } from "../domain/tenant-record.ts";
import { keyViews } from "../domain/tenant-view.ts";
import type { KeyKept } from "../ledgers/tenant-rpc.ts";
import { CreateKey, KeyCreated, KeyList, KeyRotated, RotateKey } from "../schema/tenant.ts";
import { needs } from "./auth.ts";
import { jsonBody, optionalJsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";
import { createOperator, tenantNotFound, tenantObject, TenantParams, written } from "./tenants.ts";

const tags = ["tenants"];

/** A day: long enough to bring the new key to wherever the one before is used. */
const OVERLAP_SECONDS = 86_400;

const KeyParams = TenantParams.extend({
  key_id: z
    .string()
    .max(64)
    .meta({ param: { name: "key_id", in: "path" }, example: "acme-k3Jd9f" }),
});

const createKeyRoute = createRoute({
  method: "post",
  path: "/api/admin/tenants/{tenant}/keys",
  operationId: "createKey",
  tags,
  summary: "Make a key for a tenant",
  description:
    "The answer is the only place where it is shown. `admin` is for keys of the tenant `admin`, the operator's own.",
  ...needs("admin", jsonBody),
  request: {
    params: TenantParams,
    body: { required: true, content: { "application/json": { schema: CreateKey } } },
  },
  responses: {
    201: { description: "The key", content: { "application/json": { schema: KeyCreated } } },
    ...problems(400, 401, 403, 404, 409, 413, 415, 500, 503),
  },
});

const listRoute = createRoute({
  method: "get",
  path: "/api/admin/tenants/{tenant}/keys",
  operationId: "listKeys",
  tags,
  summary: "List a tenant's valid keys",
  ...needs("admin"),
  request: { params: TenantParams },
  responses: {
    200: { description: "The keys", content: { "application/json": { schema: KeyList } } },
    ...problems(400, 401, 403, 404, 500, 503),
  },
});

const rotateRoute = createRoute({
  method: "post",
  path: "/api/admin/tenants/{tenant}/keys/{key_id}/rotate",
  operationId: "rotateKey",
  tags,
  summary: "Make a key in the place of another",
  description: "With the same scopes. The key before stays valid for the overlap.",
  ...needs("admin", optionalJsonBody),
  request: {
    params: KeyParams,
    body: { required: false, content: { "application/json": { schema: RotateKey } } },
  },
  responses: {
    201: { description: "The new key", content: { "application/json": { schema: KeyRotated } } },
    ...problems(400, 401, 403, 404, 409, 413, 415, 500, 503),
  },
});

const revokeRoute = createRoute({
  method: "delete",
  path: "/api/admin/tenants/{tenant}/keys/{key_id}",
  operationId: "revokeKey",
  tags,
  summary: "Revoke a key",
  description:
    "No request is let in by it after a minute at most, and what was opened with it is closed by then. 204 as well if there was no such key.",
  ...needs("admin"),
  request: { params: KeyParams },
  responses: { 204: { description: "Revoked" }, ...problems(400, 401, 403, 404, 500, 503) },
});

export const tenantKeys = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

tenantKeys.openapi(createKeyRoute, async (c) => {
  const { tenant } = c.req.valid("param");
  const { scopes, expires_in_seconds } = c.req.valid("json");
  if (!mayHave(tenant, scopes)) {
    const detail = `scopes: "admin" is for keys of the tenant "${OPERATOR}"`;
    throw new ApiError("invalid-request", detail, { errors: [{ pointer: "/scopes", detail }] });
  }
  if (tenant === OPERATOR) await createOperator(c.env);
  const { key, ...made } = await makeKey(c, tenant, expires_in_seconds);
  kept(await written(c, tenant, (object) => object.addKey(tenant, { ...made, scopes })));
  return c.json({ ...shown(key, made), scopes }, 201);
});

tenantKeys.openapi(listRoute, async (c) => {
  const { tenant } = c.req.valid("param");
  const record = await (await tenantObject(c.env, tenant)).record(tenant);
  if (record === null) throw tenantNotFound();
  return c.json({ keys: keyViews(record, Date.now()) }, 200);
});

tenantKeys.openapi(rotateRoute, async (c) => {
  const { tenant, key_id } = c.req.valid("param");
  const { overlap_seconds = OVERLAP_SECONDS, expires_in_seconds } = c.req.valid("json");
  const { key, ...made } = await makeKey(c, tenant, expires_in_seconds);
  const record = kept(
    await written(c, tenant, (object) => object.rotateKey(tenant, key_id, made, overlap_seconds)),
  );
  const before = validKey(record, key_id, Date.now())?.expiresAt ?? null;
  const scopes = [...(validKey(record, made.id, Date.now())?.scopes ?? [])];
  const previous_valid_until = before === null ? null : iso(before);
  return c.json({ ...shown(key, made), scopes, previous_valid_until }, 201);
});

tenantKeys.openapi(revokeRoute, async (c) => {
  const { tenant, key_id } = c.req.valid("param");
  const { record } = await written(c, tenant, async (object) => ({
    record: await object.revokeKey(tenant, key_id),
  }));
  if (record === null) throw tenantNotFound();
  return c.body(null, 204);
});

async function makeKey(c: Context<App>, tenant: string, lifeSeconds: number | undefined) {
  const createdAt = Date.now();
  const expiresAt = lifeSeconds === undefined ? null : createdAt + lifeSeconds * 1_000;
  return { ...(await makeApiKey(c.get("config"), tenant)), createdAt, expiresAt };
}

function shown(key: string, { id, expiresAt }: { id: string; expiresAt: number | null }) {
  return { key_id: id, key, expires_at: expiresAt === null ? null : iso(expiresAt) };
}

function kept(result: KeyKept) {
  switch (result.type) {
    case "kept":
      return result.record;
    case "full":
      throw new ApiError("too-many-keys", `A tenant has at most ${MAX_KEYS} keys; revoke one`);
    case "no_tenant":
      throw tenantNotFound();
    case "no_key":
      throw new ApiError("key-not-found", "Key not found");
  }
}
