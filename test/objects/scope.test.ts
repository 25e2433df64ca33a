import { OpenAPIHono } from "@hono/zod-openapi";
import { describe, expect, it } from "vitest";

import { NO_LIMITS } from "../../src/domain/tenant.ts";
import { requireScope } from "../../src/http/auth.ts";
import type { App } from "../../src/http/context.ts";
import { onError } from "../../src/http/errors.ts";
import type { Scope } from "../../src/schema/tenant.ts";

/** An app with one route that needs a scope, asked with a key of these scopes. */
function ask(scopes: Scope[], needed: Scope = "admin"): Promise<Response> {
  const app = new OpenAPIHono<App>();
  app.onError(onError);
  app.use(async (c, next) => {
    c.set("principal", { tenant: "acme", tier: "pro", limits: NO_LIMITS, scopes, keyId: null });
    await next();
  });
  app.get("/route", requireScope(needed), (c) => c.text("in"));
  return Promise.resolve(app.request("/route"));
}

describe("a route for operators", () => {
  it("lets a key with the scope in", async () => {
    expect(await (await ask(["jobs:read", "admin"])).text()).toBe("in");
  });

  it.each([[["jobs:read", "jobs:write"] as Scope[]], [[] as Scope[]]])(
    "answers a tenant's key with 403: %j",
    async (scopes) => {
      const response = await ask(scopes);
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ code: "forbidden", status: 403 });
    },
  );
});

describe("a route about webhooks", () => {
  it.each<[Scope[], number]>([
    [["webhooks"], 200],
    [["jobs:read", "jobs:write"], 403],
    // For operators is not for tenants: no scope holds another.
    [["admin"], 403],
  ])("answers a key with %j with %d", async (scopes, status) => {
    expect((await ask(scopes, "webhooks")).status).toBe(status);
  });
});
