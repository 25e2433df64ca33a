import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";

import {
  isReserved,
  OPERATOR,
  type TenantChange,
  type TenantRecord,
} from "../domain/tenant-record.ts";
import { listedTenant, tenantView } from "../domain/tenant-view.ts";
import { tenantName } from "../ids.ts";
import { knownTenants } from "../tenants/known-tenants.ts";
import { directory } from "../ledgers/directory-stub.ts";
import type { TenantRpc } from "../ledgers/tenant-rpc.ts";
import { tenantNamed } from "../ledgers/tenant-stub.ts";
import {
  ChangeTenant,
  CreateTenant,
  TenantList,
  TenantListQuery,
  TenantName,
  TenantView,
} from "../schema/tenant.ts";
import { needs } from "./auth.ts";
import { jsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";

const tags = ["tenants"];

export const TenantParams = z.object({
  tenant: TenantName.meta({ param: { name: "tenant", in: "path" }, example: "acme" }),
});

const view = { "application/json": { schema: TenantView } };

const createTenantRoute = createRoute({
  method: "post",
  path: "/api/admin/tenants",
  operationId: "createTenant",
  tags,
  summary: "Create a tenant",
  description:
    "200 if there is one of this name and tier already. `dev` and `admin` are the service's own names.",
  ...needs("admin", jsonBody),
  request: { body: { required: true, content: { "application/json": { schema: CreateTenant } } } },
  responses: {
    201: { description: "Created", content: view },
    200: { description: "It was there", content: view },
    ...problems(400, 401, 403, 409, 413, 415, 500, 503),
  },
});

const listRoute = createRoute({
  method: "get",
  path: "/api/admin/tenants",
  operationId: "listTenants",
  tags,
  summary: "List the tenants",
  description: "In the order of their names.",
  ...needs("admin"),
  request: { query: TenantListQuery },
  responses: {
    200: { description: "A page", content: { "application/json": { schema: TenantList } } },
    ...problems(400, 401, 403, 500, 503),
  },
});

const readRoute = createRoute({
  method: "get",
  path: "/api/admin/tenants/{tenant}",
  operationId: "readTenant",
  tags,
  summary: "Read a tenant and its keys",
  ...needs("admin"),
  request: { params: TenantParams },
  responses: {
    200: { description: "The tenant", content: view },
    ...problems(400, 401, 403, 404, 500, 503),
  },
});

const changeRoute = createRoute({
  method: "patch",
  path: "/api/admin/tenants/{tenant}",
  operationId: "changeTenant",
  tags,
  summary: "Change a tenant's tier or limits",
  description: "What is left out stays as it was. It is in force everywhere within a minute.",
  ...needs("admin", jsonBody),
  request: {
    params: TenantParams,
    body: { required: true, content: { "application/json": { schema: ChangeTenant } } },
  },
  responses: {
    200: { description: "The tenant", content: view },
    ...problems(400, 401, 403, 404, 413, 415, 500, 503),
  },
});

export const tenants = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

tenants.openapi(createTenantRoute, async (c) => {
  const { tenant, tier } = c.req.valid("json");
  refuseReserved(tenant);
  // Before the tenant: one that is listed and was not created is passed over, the other way it would be hidden.
  await directory(c.env).add(tenant);
  const { record, isNew } = await written(c, tenant, (object) => object.create(tenant, tier));
  if (record.tier !== tier) {
    throw new ApiError("tenant-exists", `There is a tenant "${tenant}", and its tier is another`);
  }
  return c.json(shown(c, record), isNew ? 201 : 200);
});

tenants.openapi(listRoute, async (c) => {
  const { limit, cursor = null } = c.req.valid("query");
  const names = await directory(c.env).list(cursor, limit + 1);
  const page = names.slice(0, limit);
  const records = await Promise.all(
    page.map(async (tenant) => (await tenantObject(c.env, tenant)).record(tenant)),
  );
  const { limits } = c.get("config");
  const listed = records.flatMap((one) => (one === null ? [] : [listedTenant(one, limits)]));
  const has_more = names.length > limit;
  const next_cursor = has_more ? (page.at(-1) ?? null) : null;
  return c.json({ tenants: listed, has_more, next_cursor }, 200);
});

tenants.openapi(readRoute, async (c) => {
  const { tenant } = c.req.valid("param");
  const record = await (await tenantObject(c.env, tenant)).record(tenant);
  if (record === null) throw tenantNotFound();
  return c.json(shown(c, record), 200);
});

tenants.openapi(changeRoute, async (c) => {
  const { tenant } = c.req.valid("param");
  const change = changeOf(c.req.valid("json"));
  if (tenant === OPERATOR) await createOperator(c.env);
  else refuseReserved(tenant);
  const { record } = await written(c, tenant, async (object) => ({
    record: await object.change(tenant, change),
  }));
  if (record === null) throw tenantNotFound();
  return c.json(shown(c, record), 200);
});

/** The operator is a tenant whether or not it was created, and has a record once it has a key or limits of its own. */
export async function createOperator(env: Env): Promise<void> {
  await directory(env).add(OPERATOR);
  await (await tenantObject(env, OPERATOR)).create(OPERATOR, "default");
}

/** The object of the tenant of this name. */
export async function tenantObject(env: Env, tenant: string): Promise<TenantRpc> {
  return tenantNamed(env, await tenantName(tenant));
}

/** Writes to a tenant, and remembers at once what it is then: here at least nobody need wait for it. */
export async function written<W extends { record?: TenantRecord | null }>(
  c: Context<App>,
  tenant: string,
  write: (object: TenantRpc) => Promise<W>,
): Promise<W> {
  const asOf = Date.now();
  const result = await write(await tenantObject(c.env, tenant));
  if (result.record !== undefined) knownTenants(c.env).put(tenant, result.record, asOf);
  return result;
}

export function tenantNotFound(): ApiError {
  return new ApiError("tenant-not-found", "Tenant not found");
}

function refuseReserved(tenant: string): void {
  if (!isReserved(tenant)) return;
  const detail = `"${tenant}" is the service's own name`;
  throw new ApiError("invalid-request", detail, { errors: [{ pointer: "/tenant", detail }] });
}

function shown(c: Context<App>, record: TenantRecord): TenantView {
  return tenantView(record, c.get("config").limits, Date.now());
}

function changeOf({ tier, limits }: ChangeTenant): TenantChange {
  if (limits === undefined) return tier === undefined ? {} : { tier };
  const own = {
    submitsPerMinute: limits.submits_per_minute,
    maxQueued: limits.max_queued,
    dayBudgetUsd: limits.day_budget_usd,
    monthBudgetUsd: limits.month_budget_usd,
  };
  const given = Object.entries(own).filter(([, limit]) => limit !== undefined);
  return { ...(tier === undefined ? {} : { tier }), limits: Object.fromEntries(given) };
}
