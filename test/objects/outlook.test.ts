import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { forecast, MOST_SECONDS, type Forecast } from "../../src/domain/forecast.ts";
import type { Served } from "../../src/domain/measured.ts";
import { prospectOf, type Outlook } from "../../src/domain/outlook.ts";
import type { Asker } from "../../src/domain/permit-blocks.ts";
import type { Wish } from "../../src/domain/permit.ts";
import { UNKNOWN_SERVICE_MS } from "../../src/domain/service-times.ts";
import type { ProviderRpc } from "../../src/ledgers/provider-rpc.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import type { ProviderRules } from "../../src/storage/provider-store.ts";
import { DAY_MS, forgetProvider, GPT, holdClock, newName, passTime, submitted } from "./support.ts";
import { answered, deliver, envWith, provide, refused, straight } from "./worker-side.ts";

const SECOND = 1_000;
const PLACE = { lane: "normal", tenant: "acme", priority: 5 } as const;
const SERVED: Served = { lane: "normal", model: "gpt-4o", ms: 2_000, tokens: 100 };

let name = "";
holdClock();
beforeEach(() => {
  name = newName();
  vi.setSystemTime(Date.now() + DAY_MS);
});

function provider(): ProviderRpc {
  return providerNamed(env, name);
}

function ask(over: Partial<Wish> = {}, asker: Partial<Asker> = {}) {
  const wish = { job: newName(), ...PLACE, tokens: 100, since: Date.now(), ...over };
  return provider().ask(wish, { most: 1, spent: [], tokens: 0, ...asker });
}

/** So many jobs that wait, a millisecond apart, behind 60 a minute of which nothing is left. When each became due. */
async function line(count: number): Promise<number[]> {
  await provider().order({ requests: 60 });
  const dues: number[] = [];
  for (let at = 0; at < count; at++) {
    passTime(1);
    dues.push(Date.now());
    await ask();
  }
  return dues;
}

function told(outlook: Outlook, since = Infinity): Forecast {
  const known = { since, arrivals: [], messages: { count: 0, held: true }, askedAt: Date.now() };
  return forecast(prospectOf(outlook, PLACE, known, Date.now(), Date.now()));
}

/** When it was last written down. */
function writtenAt(): Promise<number | undefined> {
  const object = env.PROVIDERS.getByName(name);
  return runInDurableObject(
    object,
    (_provider, { storage }) => storage.kv.get<ProviderRules>("rules")?.measuredAt,
  );
}

describe("a provider's outlook", () => {
  it("tells each of those that wait its place, and a wait that grows by the limit", async () => {
    const dues = await line(8);
    const outlook = await provider().outlook(PLACE);
    const places = dues.map((since) => told(outlook, since));
    expect(places.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(places.map(({ seconds }) => seconds)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    expect(told(outlook)).toEqual({ position: 8, seconds: 10 });
  });

  it("counts those of other tenants and lanes by their turns", async () => {
    await line(3);
    for (let at = 0; at < 5; at++) await ask({ tenant: "flood" });
    for (let at = 0; at < 20; at++) await ask({ lane: "low" });
    const { others, parked } = await provider().outlook(PLACE);
    expect(others).toEqual([{ waiting: 5, tenants: 1 }]);
    expect(parked).toEqual({ high: 0, normal: 8, low: 20, long: 0, long_low: 0 });
  });

  it("counts a tenant's jobs of a better priority before, and of a worse one not", async () => {
    const dues = await line(3);
    await ask({ priority: 4 });
    await ask({ priority: 6 });
    const outlook = await provider().outlook(PLACE);
    expect(outlook.line).toMatchObject({ better: 1, waiting: 3, newest: dues.at(-1) });
    expect(dues.map((since) => told(outlook, since).position)).toEqual([1, 2, 3]);
  });

  it("tells a long line by few of its jobs", async () => {
    const dues = await line(401);
    const { line: marked } = await provider().outlook(PLACE);
    expect(marked).toMatchObject({ waiting: 401, step: 3, newest: dues.at(-1) });
    expect(marked.marks).toEqual(dues.filter((_, at) => at % 3 === 0));
  });

  it("says what is left where nobody waits, and takes nothing by it", async () => {
    await provider().order({ requests: 60 });
    passTime(60 * SECOND);
    for (let times = 0; times < 3; times++) {
      expect((await provider().outlook({ ...PLACE, lane: "high" })).permits.left).toBe(6);
    }
  });

  it("is the longest wait there is while it is paused", async () => {
    await provider().order({ paused: true });
    expect(told(await provider().outlook(PLACE)).seconds).toBe(MOST_SECONDS);
  });

  it("is what a 429 asks for", async () => {
    const learned = { requests: null, tokens: null, retryAfterMs: 20_000 };
    await provider().settle({ model: "gpt-4o", tokens: 0, limited: true, learned });
    expect(told(await provider().outlook(PLACE)).seconds).toBe(20);
  });
});

/** An attempt at a new job, which its provider answers like this. */
async function attempt(answer: () => Response): Promise<void> {
  provide(answer);
  const job = await submitted();
  await deliver(envWith(straight), "jobs-normal", [{ job }]);
}

describe("what a provider's calls took", () => {
  it("is heard with a question and with an end, of each lane, and outlives an eviction", async () => {
    expect((await provider().outlook(PLACE)).serviceMs).toBe(UNKNOWN_SERVICE_MS);
    await ask({}, { served: [SERVED] });
    const call = { model: "gpt-4o", tokens: 0, limited: false, learned: null };
    await provider().settle({ ...call, served: [{ ...SERVED, ms: 300_000, lane: "long" }] });
    await evictDurableObject(env.PROVIDERS.getByName(name));
    expect((await provider().outlook(PLACE)).serviceMs).toBe(2_000);
  });

  it("is a row once in a minute, however many calls there are", async () => {
    await ask({}, { served: [SERVED] });
    const first = await writtenAt();
    for (let calls = 0; calls < 59; calls++) {
      passTime(SECOND);
      await ask({}, { served: [SERVED] });
    }
    expect(await writtenAt()).toBe(first);
    passTime(SECOND);
    await ask({}, { served: [SERVED] });
    expect(await writtenAt()).toBe(Date.now());
  });

  it("is told by a consumer of each call that was answered, and of no other", async () => {
    await forgetProvider(GPT.provider);
    await attempt(refused(500));
    expect((await providerNamed(env, GPT.provider).outlook(PLACE)).serviceMs).toBe(
      UNKNOWN_SERVICE_MS,
    );
    await attempt(answered);
    // The clock stands still.
    expect((await providerNamed(env, GPT.provider).outlook(PLACE)).serviceMs).toBe(0);
  });
});
