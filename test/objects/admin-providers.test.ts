import { env, exports } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";

import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import { ProviderView } from "../../src/schema/provider.ts";
import { forgetProvider, holdClock, passTime } from "./support.ts";

holdClock();
beforeEach(() => forgetProvider("openai"));

function ask(method: string, name: string, body?: unknown): Promise<Response> {
  const url = `https://afterword.example/api/admin/providers/${name}`;
  const headers = { "content-type": "application/json" };
  const sent = body === undefined ? {} : { headers, body: JSON.stringify(body) };
  return exports.default.fetch(new Request(url, { method, ...sent }));
}

/** Parsed strictly: what is sent is what is documented, and nothing else. */
async function seen(response: Promise<Response>): Promise<ProviderView> {
  const answer = await response;
  expect(answer.status).toBe(200);
  const body: unknown = await answer.json();
  const parsed = ProviderView.parse(body);
  expect(body).toEqual(parsed);
  return parsed;
}

const UNSAID = { requests_per_minute: null, tokens_per_minute: null };

describe("a provider", () => {
  it("is shown as it stands, though nobody ever called it", async () => {
    expect(await seen(ask("GET", "openai"))).toEqual({
      provider: "openai",
      ...UNSAID,
      paused: false,
      blocked_until: null,
      parked: { high: 0, normal: 0, low: 0, long: 0 },
      ordered: UNSAID,
      configured: UNSAID,
      learned: [],
    });
  });

  it("has what is ordered until it is ordered otherwise, each by itself", async () => {
    const limits = { requests_per_minute: 500, tokens_per_minute: 200_000 };
    expect(await seen(ask("PUT", "openai", limits))).toMatchObject({ ...limits, ordered: limits });
    const paused = await seen(ask("PUT", "openai", { paused: true }));
    expect(paused).toMatchObject({ ...limits, paused: true });
    const reset = { requests_per_minute: null, tokens_per_minute: 0, paused: false };
    await seen(ask("PUT", "openai", reset));
    expect(await seen(ask("GET", "openai"))).toMatchObject({
      ...UNSAID,
      paused: false,
      ordered: { requests_per_minute: null, tokens_per_minute: 0 },
    });
  });

  it("shows who waits for it, until when, and what it said of itself", async () => {
    const requests = { limit: 120, remaining: 0, resetMs: 30_000 };
    const learned = { requests, tokens: null, retryAfterMs: 20_000 };
    const call = { model: "gpt-4o", tokens: 0, limited: true, learned };
    const wish = { job: "j", lane: "low", tenant: "a", tokens: 9, since: 0 } as const;
    await providerNamed(env, "openai").settle(call);
    await providerNamed(env, "openai").ask(wish, { most: 1, spent: [], tokens: 0 });
    const told = await seen(ask("GET", "openai"));
    expect(told).toMatchObject({
      requests_per_minute: 120,
      blocked_until: new Date(Date.now() + 20_000).toISOString(),
      parked: { low: 1 },
      learned: [{ model: "gpt-4o", requests_per_minute: 120, tokens_per_minute: null }],
    });
    passTime(20_000);
    expect((await seen(ask("GET", "openai"))).blocked_until).toBeNull();
  });

  it.each([
    [{ requests_per_minute: -1 }, "/requests_per_minute"],
    [{ requests_per_minute: 1.5 }, "/requests_per_minute"],
    [{ tokens_per_minute: "many" }, "/tokens_per_minute"],
    [{ paused: "yes" }, "/paused"],
    [{ requests: 5 }, ""],
  ])("is not ordered by %j", async (order, pointer) => {
    const refused = await ask("PUT", "openai", order);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ errors: [{ pointer }] });
  });

  it.each(["closedai", "__proto__", "OPENAI"])("is not %s", async (name) => {
    for (const refused of [await ask("GET", name), await ask("PUT", name, {})]) {
      expect(refused.status).toBe(404);
      expect(await refused.json()).toMatchObject({ code: "provider-not-found" });
    }
  });
});
