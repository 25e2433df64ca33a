import { expect } from "vitest";

import type { Api } from "./api.ts";

/** Asks, and has the document judge what is answered. */
export type Ask = (
  method: string,
  path: string,
  status: number,
  init: RequestInit & { url: string },
) => Promise<void>;

/** Has the routes about tenants give every answer they have. `ask`: asks, and judges what is answered. */
export async function askAboutTenants(api: Api, ask: Ask): Promise<void> {
  const [all, one] = ["/api/admin/tenants", "/api/admin/tenants/{tenant}"];
  const url = `${all}/documented`;
  const send = (
    method: string,
    [path, url]: [string, string],
    status: number,
    body: unknown,
    type = "application/json",
  ) =>
    ask(method, path, status, {
      url,
      body: JSON.stringify(body),
      headers: { "content-type": type },
    });
  const long = "x".repeat(1_048_577);
  const tenant = { tenant: "documented", tier: "pro" };
  await send("POST", [all, all], 201, tenant);
  await send("POST", [all, all], 200, tenant);
  await send("POST", [all, all], 409, { ...tenant, tier: "free" });
  await send("POST", [all, all], 400, { tenant: "Documented", tier: "pro" });
  await send("POST", [all, all], 413, { tenant: long });
  await send("POST", [all, all], 415, tenant, "text/plain");
  await ask("GET", all, 200, { url: all });
  await ask("GET", all, 400, { url: `${all}?limit=0` });
  const change = { tier: "free", limits: { max_queued: 3, day_budget_usd: null } };
  await send("PATCH", [one, url], 200, change);
  await send("PATCH", [one, url], 400, { tier: "gold" });
  await send("PATCH", [one, `${all}/none`], 404, change);
  await send("PATCH", [one, url], 413, { tier: long });
  await send("PATCH", [one, url], 415, change, "text/plain");
  const keys: [string, string] = [`${one}/keys`, `${url}/keys`];
  const key = { scopes: ["jobs:read"], expires_in_seconds: 60 };
  await send("POST", keys, 201, key);
  await send("POST", keys, 400, { scopes: [] });
  await send("POST", [keys[0], `${all}/none/keys`], 404, key);
  await send("POST", keys, 413, { scopes: long });
  await send("POST", keys, 415, key, "text/plain");
  for (const [path, at] of [
    [one, ""],
    [keys[0], "/keys"],
  ] as const) {
    await ask("GET", path, 200, { url: `${url}${at}` });
    await ask("GET", path, 400, { url: `${all}/None${at}` });
    await ask("GET", path, 404, { url: `${all}/none${at}` });
  }
  const { keys: made } = (await (await api.fetch(keys[1])).json()) as {
    keys: { key_id: string }[];
  };
  const its = `${keys[1]}/${made[0]?.key_id}`;
  const rotate: [string, string] = [`${keys[0]}/{key_id}/rotate`, `${its}/rotate`];
  await send("POST", rotate, 201, { overlap_seconds: 60 });
  await send("POST", rotate, 400, { overlap_seconds: -1 });
  await send("POST", [rotate[0], `${keys[1]}/none/rotate`], 404, {});
  await send("POST", rotate, 413, { overlap_seconds: long });
  await send("POST", rotate, 415, {}, "text/plain");
  const more = Array.from({ length: 48 }, () => api.post(keys[1], key));
  expect(new Set((await Promise.all(more)).map(({ status }) => status))).toEqual(new Set([201]));
  await send("POST", keys, 409, key);
  await send("POST", rotate, 409, {});
  const revoke = `${keys[0]}/{key_id}`;
  await ask("DELETE", revoke, 204, { url: its });
  await ask("DELETE", revoke, 400, { url: `${all}/None/keys/x` });
  await ask("DELETE", revoke, 404, { url: `${all}/none/keys/x` });
}
