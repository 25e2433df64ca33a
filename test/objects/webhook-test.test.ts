import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { gateName } from "../../src/ids.ts";
import { gateNamed } from "../../src/ledgers/gate-stub.ts";
import { holdQueues, logged } from "./support.ts";
import { request } from "./worker-side.ts";

holdQueues();

/** What an origin gets of which nothing is known. */
const CAP = 2;
const sent: string[] = [];

beforeEach(() => {
  sent.length = 0;
  vi.stubGlobal("fetch", (url: string) => {
    sent.push(url);
    return Promise.resolve(new Response(null, { status: 204 }));
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

/** A URL at an origin no other test has. */
function newUrl(): string {
  return `https://receiver-${crypto.randomUUID()}.example/hook`;
}

function testDelivery(url: string, way: Partial<Env> = {}): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify({ url }) };
  return request({ ...env, ...way }, "/api/webhook-test", init);
}

describe("a test delivery", () => {
  it("waits its turn like any other: while the origin's gate is full it is 429, and nothing is sent", async () => {
    const url = newUrl();
    const gate = gateNamed(env, await gateName("dev", url));
    for (let at = 0; at < CAP; at++) await gate.enter(`delivery-${at}`);
    const refused = await testDelivery(url);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await refused.json()).toMatchObject({ code: "too-many-requests", status: 429 });
    expect(sent).toEqual([]);
    await gate.leave("delivery-0", 100);
    expect((await testDelivery(url)).status).toBe(200);
    expect(sent).toEqual([url]);
  });

  it("gives its turn back, however often it is made", async () => {
    const url = newUrl();
    for (let at = 0; at < 2 * CAP; at++) {
      const answer = await testDelivery(url);
      expect(await answer.json()).toMatchObject({ success: true, status: 204, error: null });
    }
  });

  it("is answered though its turn could not be given back", async () => {
    const stub = {
      enter: () => Promise.resolve({ type: "enter" }),
      leave: () => Promise.reject(new Error("canary")),
    };
    const GATES = { getByName: () => stub } as unknown as Env["GATES"];
    expect((await testDelivery(newUrl(), { GATES })).status).toBe(200);
    await expect.poll(() => logged.join(), { interval: 5 }).toContain("gate.not_left");
    expect(logged.join()).not.toMatch(/canary|receiver-/);
  });
});
