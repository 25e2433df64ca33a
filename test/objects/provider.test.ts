import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";

import type { Lane } from "../../src/domain/lane.ts";
import type { Learned } from "../../src/domain/learned.ts";
import type { Asker } from "../../src/domain/permit-blocks.ts";
import type { Permit, Verdict, Wish } from "../../src/domain/permit.ts";
import type { ProviderRpc } from "../../src/ledgers/provider-rpc.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import { DAY_MS, holdClock, logged, newName, NOTHING_STORED, passTime, queues } from "./support.ts";

const SECOND = 1_000;
/** What each attempt may last, and from a grant to the beginning of its call. */
const LASTS_MS = 60 * SECOND;
const USE_MS = 3_500;
/** Places of the lane `long` (LANE_CONCURRENCY_LONG). */
const LONG = 45;
const ASKER: Asker = { most: 1, spent: [], remaining: [], tokens: 0 };

/** A provider of its own for each test. No setting knows it, so it has the limits that are ordered. */
let name = "";

holdClock();
beforeEach(() => {
  name = newName();
  // Each test has a time of its own, so that what is blocked in one is free in the next.
  vi.setSystemTime(Date.now() + DAY_MS);
});

function provider(): ProviderRpc {
  return providerNamed(env, name);
}

/** Limits it, and lets it rest until it has a whole burst. */
async function limited(requests: number, tokens: number | null = null): Promise<void> {
  await provider().order({ requests, tokens });
  passTime(60 * SECOND);
}

let jobs = 0;
function wishOf(over: Partial<Wish> = {}): Wish {
  jobs += 1;
  const [job, since] = [`job-${jobs}`, Date.now() + jobs];
  const needs = { tokens: 100, since, lastsMs: LASTS_MS };
  return { job, lane: "normal", tenant: "acme", ...needs, ...over };
}

function ask(over: Partial<Wish> = {}, asker = ASKER): Promise<Verdict> {
  return provider().ask(wishOf(over), asker);
}

/** The permits of who has use for so many calls. */
async function permitted(over: Partial<Wish> = {}, most = 1): Promise<Permit> {
  const verdict = await ask(over, { ...ASKER, most });
  if (verdict.type !== "granted") throw new Error("parked");
  return verdict.permit;
}

/** Asks for so many jobs, one after the other; how many may call. */
async function granted(count: number, over: Partial<Wish> = {}): Promise<number> {
  let calls = 0;
  for (let at = 0; at < count; at++) if ((await ask(over)).type === "granted") calls++;
  return calls;
}

function stored() {
  return runInDurableObject(env.PROVIDERS.getByName(name), async (_provider, { storage }) => {
    const tables = storage.sql.exec("SELECT name FROM sqlite_master").toArray();
    const parked = tables.some((table) => table["name"] === "parked")
      ? storage.sql.exec("SELECT job FROM parked").toArray()
      : null;
    const rows = [...storage.kv.list()];
    return { rows, tables, parked, alarm: await storage.getAlarm() };
  });
}

/** Moves the clock from alarm to alarm until it is somebody's turn. The jobs that were rung for, in their order. */
async function nextTurns(): Promise<{ to: string; job: string }[]> {
  const before = queues.sent.length;
  for (let alarms = 0; alarms < 5; alarms++) {
    const { alarm } = await stored();
    if (alarm === null) throw new Error("there is no alarm");
    vi.setSystemTime(Math.max(Date.now(), alarm));
    await runDurableObjectAlarm(env.PROVIDERS.getByName(name));
    if (queues.sent.length > before) break;
  }
  return queues.sent.slice(before).map(({ to, body }) => ({ to, job: body.job }));
}

function evict(): Promise<void> {
  return evictDurableObject(env.PROVIDERS.getByName(name));
}

/** Until when it has written down that permits may be granted. */
async function activeUntil(): Promise<number> {
  const [, rules] = (await stored()).rows.find(([key]) => key === "rules") ?? [];
  return (rules as { activeUntil: number }).activeUntil;
}

function told(over: Partial<{ limited: boolean; tokens: number; learned: Partial<Learned> }>) {
  const { learned, ...call } = over;
  const known = { requests: null, tokens: null, retryAfterMs: null, ...learned };
  return { model: "gpt-4o", tokens: 0, limited: false, ...call, learned: known };
}

describe("a provider without a limit", () => {
  it("permits as many calls as there is use for and the lane has places, and keeps nothing", async () => {
    expect(await permitted({}, 1)).toMatchObject({ requests: 1, tokens: Infinity, lifeMs: 0 });
    expect(await permitted({}, 5)).toMatchObject({ requests: 5, lifeMs: 10_000, quietMs: 10_000 });
    expect(await permitted({}, 1_000)).toMatchObject({ requests: 13 });
    const { rows, tables, alarm } = await stored();
    expect({ rows, tables, alarm }).toEqual(NOTHING_STORED);
  });

  it("parks everything while it is paused, and rings for all once it is not", async () => {
    await provider().order({ paused: true });
    expect(await granted(3)).toBe(0);
    expect((await provider().state()).parked.normal).toBe(3);
    const before = queues.sent.length;
    await provider().order({ paused: false });
    expect(queues.sent.length - before).toBe(3);
    expect(await granted(1)).toBe(1);
  });
});

describe("a provider with a limit", () => {
  it("permits its burst, parks the others, and rings for each when its turn has come", async () => {
    await limited(50);
    expect(await granted(10, { lane: "high" })).toBe(5);
    expect((await provider().state()).parked.high).toBe(5);
    const [first] = await nextTurns();
    expect(first).toEqual({ to: "LANE_HIGH", job: `job-${jobs - 4}` });
    expect(queues.sent.at(-1)?.body.needs).toMatchObject({ provider: name, tenant: "acme" });
    expect(await granted(1, { lane: "high", job: first?.job ?? "" })).toBe(1);
    expect((await provider().state()).parked.high).toBe(4);
  });

  it("parks a job once, however often it asks: a row in, a row out", async () => {
    await limited(50);
    await granted(5, { lane: "high" });
    const wish = wishOf({ lane: "high" });
    for (let times = 0; times < 3; times++) {
      expect(await provider().ask(wish, ASKER)).toEqual({ type: "parked" });
    }
    expect((await stored()).parked).toEqual([{ job: wish.job }]);
    expect(await nextTurns()).toEqual([{ to: "LANE_HIGH", job: wish.job }]);
    expect((await stored()).parked).toEqual([]);
  });

  it("lets one tenant's only job wait for no more than one of another's many", async () => {
    await limited(50);
    await granted(30, { tenant: "flood", lane: "low" });
    const lone = wishOf({ tenant: "lone", lane: "low" });
    await provider().ask(lone, ASKER);
    const rung = [...(await nextTurns()), ...(await nextTurns())];
    expect(rung.map(({ job }) => job)).toContain(lone.job);
  });

  it("keeps something of its burst for better lanes, which overtake", async () => {
    await limited(50);
    expect(await granted(30, { lane: "low" })).toBe(4);
    expect(await granted(1, { lane: "high" })).toBe(1);
    await ask({ lane: "high" });
    const rung = [...(await nextTurns()), ...(await nextTurns())];
    expect(rung.map(({ to }) => to)).toContain("LANE_HIGH");
  });

  it("reserves the permit of whom it rings for: nobody else has it, and thirty seconds later all have", async () => {
    await limited(1);
    await granted(1);
    const lost = wishOf();
    await provider().ask(lost, ASKER);
    expect(await nextTurns()).toEqual([{ to: "LANE_NORMAL", job: lost.job }]);
    expect(await granted(1)).toBe(0);
    passTime(30 * SECOND);
    expect(await granted(1, { job: `job-${jobs}` })).toBe(1);
  });

  it("takes back a permit that was not used, for who waits", async () => {
    await limited(1);
    const verdict = await ask();
    const waits = wishOf();
    await provider().ask(waits, ASKER);
    const id = verdict.type === "granted" ? verdict.permit.id : null;
    await provider().giveBack(id ?? "");
    expect(queues.sent.at(-1)?.body.job).toBe(waits.job);
  });

  it("limits tokens too, and corrects them by what was used", async () => {
    await limited(0, 10_000);
    expect(await granted(9, { lane: "high", tokens: 250 })).toBe(4);
    passTime(4 * SECOND);
    const before = queues.sent.length;
    await provider().settle(told({ tokens: 250 }));
    expect(queues.sent.length).toBeGreaterThan(before);
  });
});

describe("a lane with all its places taken", () => {
  const lane = "long";
  const over = (id: string | null) => ({
    ...told({}),
    spent: [],
    remaining: [{ id: id ?? "", calls: 0 }],
  });

  /** Takes them, and parks so many more. The first call's permit. */
  async function filled(parked: number): Promise<string | null> {
    const { id } = await permitted({ lane });
    expect(await granted(LONG - 1, { lane })).toBe(LONG - 1);
    expect(await granted(parked, { lane })).toBe(0);
    return id;
  }

  it("parks who comes, and rings for the next when a call is over, once however often it is told", async () => {
    const id = await filled(2);
    const before = queues.sent.length;
    for (let twice = 0; twice < 2; twice++) await provider().settle(over(id));
    const rung = queues.sent.slice(before).map(({ to, body }) => ({ to, job: body.job }));
    expect(rung).toEqual([{ to: "LANE_LONG", job: `job-${jobs - 1}` }]);
    expect(queues.sent.at(-1)?.body.needs).toMatchObject({ lastsMs: LASTS_MS });
    expect(await granted(1, { lane: "high" })).toBe(1);
  });

  it("takes the place of a call that was not made back", async () => {
    const id = await filled(1);
    await provider().giveBack(id);
    expect(queues.sent.at(-1)?.body.job).toBe(`job-${jobs}`);
  });

  it("rings by its alarm once its calls must be over, though their consumers died", async () => {
    await filled(1);
    expect((await stored()).alarm).toBe(Date.now() + LASTS_MS + USE_MS);
    expect(await nextTurns()).toEqual([{ to: "LANE_LONG", job: `job-${jobs}` }]);
  });

  it("is empty after an eviction, and rings for those who wait: nobody waits for ever", async () => {
    const id = await filled(2);
    await evict();
    const before = queues.sent.length;
    await provider().settle(over(id));
    expect(queues.sent.length - before).toBe(2);
    expect(await granted(1, { lane })).toBe(1);
  });
});

describe("a block of permits", () => {
  it("is granted where the limit is large, and what is left of it comes back", async () => {
    await limited(6_000);
    const verdict = await ask({}, { ...ASKER, most: 100 });
    const permit = verdict.type === "granted" ? verdict.permit : null;
    expect(permit).toMatchObject({ requests: 10, lifeMs: 5_000 });
    const rest = { requests: 10, tokens: Infinity };
    await ask({}, { ...ASKER, spent: [{ id: permit?.id ?? "", rest }] });
    expect((await provider().state()).limits.requests).toBe(6_000);
  });

  it("is none where the limit is small", async () => {
    await limited(50);
    expect(await ask({}, { ...ASKER, most: 100 })).toMatchObject({ permit: { requests: 1 } });
  });
});

describe("a 429", () => {
  it("parks all lanes of its provider for as long as it says, and no other provider", async () => {
    await provider().settle(told({ limited: true, learned: { retryAfterMs: 20_000 } }));
    for (const lane of ["high", "normal", "low", "long"] satisfies Lane[]) {
      expect(await granted(1, { lane })).toBe(0);
    }
    expect(await providerNamed(env, newName()).ask(wishOf(), ASKER)).toMatchObject({
      type: "granted",
    });
    const { alarm } = await stored();
    expect(alarm).toBe(Date.now() + 20_000);
    expect(await nextTurns()).toHaveLength(4);
    expect(logged).toContain(
      JSON.stringify({ event: "provider.blocked", provider: name, blocked_ms: 20_000 }),
    );
  });

  it("that says nothing parks them for longer each time, and those that come together count as one", async () => {
    const blockedMs = async () => (await provider().state()).blockedUntil - Date.now();
    for (let together = 0; together < 5; together++)
      await provider().settle(told({ limited: true }));
    expect(await blockedMs()).toBe(1_000);
    passTime(1_000);
    await provider().settle(told({ limited: true }));
    expect(await blockedMs()).toBe(2_000);
    passTime(62_001);
    await provider().settle(told({ limited: true }));
    expect(await blockedMs()).toBe(1_000);
  });
});

describe("what a provider says of its limits", () => {
  const requests = { limit: 120, remaining: 100, resetMs: 10_000 };

  it("is kept, holds where nothing else is said, and is lowered to by an order", async () => {
    await provider().settle(told({ learned: { requests } }));
    expect((await provider().state()).limits.requests).toBe(120);
    await evictDurableObject(env.PROVIDERS.getByName(name));
    expect((await provider().state()).limits.requests).toBe(120);
    expect((await provider().order({ requests: 500 })).limits.requests).toBe(120);
    expect((await provider().order({ requests: 60 })).limits.requests).toBe(60);
    expect((await provider().order({ requests: 0 })).limits.requests).toBeNull();
  });

  it("parks everything where nothing is left", async () => {
    const spent = { limit: 120, remaining: 0, resetMs: 9_000 };
    await provider().settle(told({ learned: { requests: spent } }));
    expect(await granted(1)).toBe(0);
    expect(await nextTurns()).toHaveLength(1);
  });
});

describe("an eviction", () => {
  it("forgets nobody who waits, and no order", async () => {
    await limited(50);
    await granted(8, { lane: "low" });
    await evict();
    const { parked, limits } = await provider().state();
    expect([parked.low, limits.requests]).toEqual([4, 50]);
    passTime(20 * SECOND);
    const first = `job-${jobs - 3}`;
    expect((await nextTurns())[0]).toEqual({ to: "LANE_LOW", job: first });
  });

  it("right after a grant permits nothing that could be too much; long after, the whole burst", async () => {
    await limited(50);
    expect(await granted(5, { lane: "high" })).toBe(5);
    await evict();
    expect(await granted(1, { lane: "high" })).toBe(0);
    passTime(60 * SECOND);
    await evict();
    await provider().order({ requests: 50 });
    expect((await provider().state()).parked.high).toBe(0);
    expect(await granted(4, { lane: "high" })).toBe(4);
  });

  it("costs one row in five seconds, however many are granted", async () => {
    await limited(6_000);
    await granted(1);
    const first = await activeUntil();
    passTime(4_999);
    await granted(20);
    expect(await activeUntil()).toBe(first);
    passTime(1);
    await granted(1);
    expect(await activeUntil()).toBe(first + 5_000);
  });
});
