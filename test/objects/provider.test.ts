import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import type { Lane } from "../../src/domain/lane.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import { ASKER, stageProvider, told } from "./provider-stage.ts";
import { logged, newName, NOTHING_STORED, passTime, queues } from "./support.ts";

const SECOND = 1_000;

const {
  provider,
  limited,
  wishOf,
  ask,
  permitted,
  granted,
  stored,
  nextTurns,
  evict,
  jobAt,
  nameOf,
} = stageProvider();

/** Until when it has written down that permits may be granted. */
async function activeUntil(): Promise<number> {
  const [, rules] = (await stored()).rows.find(([key]) => key === "rules") ?? [];
  return (rules as { activeUntil: number }).activeUntil;
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
    expect(first).toEqual({ to: "LANE_HIGH", job: jobAt(4) });
    expect(queues.sent.at(-1)?.body.needs).toMatchObject({ provider: nameOf(), tenant: "acme" });
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
    expect(await granted(1, { job: jobAt() })).toBe(1);
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
      JSON.stringify({ event: "provider.blocked", provider: nameOf(), blocked_ms: 20_000 }),
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
    await evict();
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
    const first = jobAt(3);
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

/** The table as it was before it knew how long calls last, nor priorities. */
const BEFORE = [
  `CREATE TABLE parked (lane INTEGER NOT NULL, tenant TEXT NOT NULL, since INTEGER NOT NULL,
    job TEXT NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (lane, tenant, since, job)) WITHOUT ROWID`,
  "INSERT INTO parked VALUES (0, 'acme', 2, 'second', 100)",
  "INSERT INTO parked VALUES (0, 'acme', 1, 'first', 100)",
  "INSERT INTO parked VALUES (3, 'acme', 3, 'long', 100)",
];

describe("those that wait", () => {
  it("are rung for by priority, and of one priority in the order in which they were due", async () => {
    await limited(50);
    await granted(5, { lane: "high", tenant: "other" });
    await provider().order({ paused: true });
    const order = [3, 1, 1].map((priority) => wishOf({ lane: "high", priority }));
    for (const wish of order) await provider().ask(wish, ASKER);
    const before = queues.sent.length;
    passTime(60 * SECOND);
    await provider().order({ paused: false });
    const rung = queues.sent.slice(before).map(({ body }) => body);
    expect(rung.map(({ job }) => job)).toEqual([1, 2, 0].map((at) => order[at]?.job));
    expect(rung[0]?.needs).toMatchObject({ priority: 1, rung: true });
  });

  it("of two lines of long jobs are counted together, and one that ends without a call waits no more", async () => {
    await provider().order({ paused: true });
    const wishes = [1, 10].map((priority) => wishOf({ lane: "long", priority }));
    for (const wish of wishes) await provider().ask(wish, ASKER);
    expect((await provider().state()).parked.long).toBe(2);
    for (const { tokens: _, lastsMs: __, ...wish } of wishes) await provider().withdraw(wish);
    expect((await provider().state()).parked.long).toBe(0);
  });

  it("for an object of an older version wait on, and are taken to last as long as any", async () => {
    await provider().order({ paused: true });
    await runInDurableObject(env.PROVIDERS.getByName(nameOf()), (_provider, { storage }) => {
      for (const statement of BEFORE) storage.sql.exec(statement);
      storage.kv.put("version", 1);
    });
    await evict();
    expect((await provider().state()).parked).toMatchObject({ high: 2, long: 1 });
    const before = queues.sent.length;
    await provider().order({ paused: false });
    const rung = queues.sent.slice(before).map(({ to, body }) => `${to} ${body.job}`);
    expect(rung).toEqual(["LANE_HIGH first", "LANE_HIGH second", "LANE_LONG long"]);
    expect(queues.sent.at(-1)?.body.needs).toMatchObject({ lastsMs: 900_000, priority: 5 });
  });
});
