import { beforeEach, describe, expect, it } from "vitest";

import { PermitBlocks } from "../../src/domain/permit-blocks.ts";
import { PermitDesk } from "../../src/domain/permit-desk.ts";
import type { Permit, Verdict, Wish } from "../../src/domain/permit.ts";
import type { Limits } from "../../src/domain/permits.ts";
import { MINUTE, NOW, SECOND } from "./fixtures.ts";
import { ENDLESS, ParkedInMemory } from "./permit-world.ts";

let parked = new ParkedInMemory();
let jobs = 0;

beforeEach(() => {
  parked = new ParkedInMemory();
});

function deskOf(requests: number | null, tokens: number | null = null): PermitDesk {
  const settings = { concurrency: ENDLESS, restedSince: 0, era: "desk" };
  return new PermitDesk(parked, { ...settings, limits: { requests, tokens } });
}

function wishOf(over: Partial<Wish> = {}): Wish {
  jobs += 1;
  return { job: `job-${jobs}`, lane: "normal", tenant: "a", tokens: 100, since: NOW, ...over };
}

function permitOf(verdict: Verdict): Permit {
  if (verdict.type !== "granted") throw new Error("parked");
  return verdict.permit;
}

/** Asks for so many, one after the other, and answers how many may call. */
function granted(desk: PermitDesk, count: number, over: Partial<Wish> = {}, now = NOW): number {
  const verdicts = Array.from({ length: count }, () => desk.ask(wishOf(over), 1, now));
  return verdicts.filter(({ type }) => type === "granted").length;
}

const rules = (limits: Limits, over: { paused?: boolean; blockedUntil?: number } = {}) => ({
  limits,
  paused: false,
  blockedUntil: 0,
  ...over,
});

describe("a block", () => {
  it.each([
    ["one where the limit is small", 50, null, 1],
    ["a sixhundredth of a minute", 6_000, null, 10],
    ["no more than there is use for", 1_000_000, null, 100],
    ["as many as there are tokens for", 6_000, 60_000, 1],
    ["of tokens alone, where only those are limited", null, 600_000, 10],
  ])("is %s", (_, requests, tokens, calls) => {
    const permit = permitOf(deskOf(requests, tokens).ask(wishOf(), 100, NOW));
    expect(permit.requests).toBe(calls);
    expect(permit.tokens).toBe(tokens === null ? Infinity : calls * 100);
    expect(permit.lifeMs).toBe(calls === 1 ? 0 : 5 * SECOND);
  });

  it("is never more than half of what is there", () => {
    const desk = deskOf(6_000);
    granted(desk, 588, { lane: "high" });
    expect(permitOf(desk.ask(wishOf({ lane: "high" }), 100, NOW)).requests).toBe(6);
  });

  it("is granted to nobody while somebody waits", () => {
    const desk = deskOf(6_000);
    desk.rule(rules({ requests: 6_000, tokens: null }, { paused: true }), NOW);
    granted(desk, 400);
    desk.rule(rules({ requests: 6_000, tokens: null }), NOW);
    expect(permitOf(desk.ask(wishOf({ lane: "high" }), 100, NOW)).requests).toBe(1);
  });
});

describe("who comes while others wait", () => {
  it("overtakes nobody of its lane, though there is a permit", () => {
    const desk = deskOf(50);
    granted(desk, 6, { tenant: "a" });
    const first = desk.takeRings();
    expect([first, parked.size]).toEqual([[], 2]);
    expect(granted(desk, 1, { tenant: "a" }, NOW + 6 * SECOND)).toBe(0);
    expect(desk.takeRings().map(({ job }) => job)).toEqual([`job-${jobs - 2}`, `job-${jobs - 1}`]);
  });

  it("is granted at once where it is its turn", () => {
    const desk = deskOf(50);
    granted(desk, 30, { lane: "low" });
    expect(granted(desk, 1, { lane: "high" })).toBe(1);
    expect(desk.takeRings()).toEqual([]);
  });

  it("waits for a permit in the order in which they became due", () => {
    const desk = deskOf(1);
    granted(desk, 1);
    const [late, early] = [wishOf({ since: NOW + 9 }), wishOf({ since: NOW })];
    for (const wish of [late, early]) desk.ask(wish, 1, NOW);
    desk.serve(NOW + MINUTE + 4 * SECOND);
    expect(desk.takeRings()).toEqual([early]);
  });
});

describe("a lane whose turn it is while a better one waits", () => {
  it("has the next permit, and leaves nothing: neither waits for more than one", () => {
    const desk = deskOf(50);
    granted(desk, 100, { lane: "high" });
    granted(desk, 100, { lane: "low" });
    const rung: { lane: string; at: number }[] = [];
    for (let now = NOW; now < NOW + MINUTE; now = desk.serveAt(now)) {
      desk.serve(now);
      for (const wish of desk.takeRings()) {
        rung.push({ lane: wish.lane, at: now });
        desk.ask(wish, 1, now);
      }
    }
    const gaps = rung.slice(5).map(({ at }, place) => at - (rung[place + 4]?.at ?? 0));
    expect(rung.filter(({ lane }) => lane === "low").length).toBeGreaterThan(2);
    expect(Math.max(...gaps)).toBeLessThan(2 * SECOND);
  });
});

describe("a lane that does not fetch what is reserved for it", () => {
  it("is passed over, and has its turn again when that has come back", () => {
    const desk = deskOf(50);
    granted(desk, 40, { lane: "low" });
    const rung: string[] = [];
    for (let now = NOW; now < NOW + 29 * SECOND; now = desk.serveAt(now)) {
      desk.serve(now);
      rung.push(...desk.takeRings().map(({ job }) => job));
    }
    expect(rung).toHaveLength(3);
    expect(granted(desk, 1, { lane: "normal" }, NOW + 29 * SECOND)).toBe(1);
    desk.serve(NOW + MINUTE);
    expect(desk.takeRings().length).toBeGreaterThan(0);
  });
});

describe("tokens that were not used", () => {
  it.each([
    ["come back once, however often that is told", ["a", "a"], 1],
    ["come back of each call", ["a", "b"], 2],
    ["come back each time where an older consumer tells it", [undefined, undefined], 2],
  ])("%s", (_, ids, times) => {
    const desk = deskOf(null, 60_000);
    granted(desk, 1, { lane: "high", tokens: 6_000 });
    const later = NOW + 4 * SECOND;
    for (const id of ids) {
      const news = { spent: [], remaining: [], tokens: 1_000 };
      desk.hear(id === undefined ? news : { ...news, id }, later);
    }
    // Half a second's 450 come to them.
    expect(granted(desk, 5, { lane: "high", tokens: 800 }, later)).toBe(times === 1 ? 1 : 3);
  });
});

describe("a job that is parked twice, under two times of being due", () => {
  it("has one permit reserved, and is rung for once", () => {
    const desk = deskOf(50);
    const limits = { requests: 50, tokens: null };
    desk.rule(rules(limits, { paused: true }), NOW);
    const wish = wishOf();
    desk.ask(wish, 1, NOW);
    desk.ask({ ...wish, since: NOW + SECOND }, 1, NOW + SECOND);
    desk.rule(rules(limits), NOW + SECOND);
    desk.serve(NOW + SECOND);
    expect(desk.takeRings().map(({ job }) => job)).toEqual([wish.job]);
    expect(parked.size).toBe(0);
  });
});

describe("while nothing may be called", () => {
  it.each([
    ["it is paused", { paused: true }, Infinity],
    ["it is blocked", { blockedUntil: NOW + MINUTE }, NOW + MINUTE],
  ])("for %s, all wait, and one whose permit was reserved as well", (_, closed, until) => {
    const desk = deskOf(50);
    granted(desk, 6, { lane: "high" });
    desk.serve(NOW + 8 * SECOND);
    const [rung] = desk.takeRings();
    if (rung === undefined) throw new Error("nobody was rung for");
    desk.rule(rules({ requests: 50, tokens: null }, closed), NOW + 8 * SECOND);
    expect(desk.ask(rung, 1, NOW + 8 * SECOND)).toEqual({ type: "parked" });
    expect(desk.serveAt(NOW + 8 * SECOND)).toBe(until);
  });
});

/** What a call of a hundred tokens needs. */
const CALL = { tokens: 100, lastsMs: MINUTE };

describe("what one isolate has ahead", () => {
  const block = {
    id: "b",
    requests: 10,
    tokens: 1_000,
    lifeMs: 5 * SECOND,
    lastsMs: MINUTE,
    quietMs: 10 * SECOND,
  };
  const nothing = { spent: [], remaining: [], tokens: 0, served: [] };

  it("is used call by call, until it is used up", () => {
    const blocks = new PermitBlocks();
    expect(blocks.put(block, 100, NOW)).toEqual({ id: "b", tokens: 100, single: false });
    for (let call = 1; call < 10; call++) expect(blocks.take(CALL, NOW + call)).not.toBeNull();
    expect(blocks.take({ ...CALL, tokens: 0 }, NOW)).toBeNull();
  });

  it.each([
    ["its time is over", {}, 5 * SECOND],
    ["it has too few tokens", { tokens: 901 }, 0],
    ["its places are for shorter calls", { lastsMs: MINUTE + 1 }, 0],
  ])("is not used where %s", (_, over, later) => {
    const blocks = new PermitBlocks();
    blocks.put(block, 100, NOW);
    expect(blocks.take({ ...CALL, ...over }, NOW + later)).toBeNull();
  });

  it("tells what is left, and asks for twice what was used", () => {
    const blocks = new PermitBlocks();
    expect(blocks.asker(NOW)).toEqual({ most: 2, ...nothing });
    const [first, second] = [blocks.put(block, 100, NOW), blocks.take(CALL, NOW)];
    for (let call = 0; call < 3; call++) blocks.take(CALL, NOW);
    blocks.over(first, 40);
    blocks.over(second ?? first, -10);
    const spent = [{ id: "b", rest: { requests: 5, tokens: 500 } }];
    const remaining = [{ id: "b", calls: 3 }];
    expect(blocks.asker(NOW)).toMatchObject({ most: 10, spent, remaining, tokens: 30 });
    expect(blocks.asker(NOW)).toEqual({ most: 10, ...nothing });
  });

  it("is for those that were rung for where others wait, and is kept from the rest until its time is over", () => {
    const blocks = new PermitBlocks();
    blocks.put({ ...block, rung: true }, 100, NOW);
    expect(blocks.take(CALL, NOW)).toBeNull();
    expect(blocks.asker(NOW).spent).toEqual([]);
    expect(blocks.take({ ...CALL, rung: true }, NOW)).not.toBeNull();
    expect(blocks.asker(NOW + 5 * SECOND).spent).toMatchObject([
      { id: "b", rest: { requests: 8 } },
    ]);
  });

  it("takes back a call that was not made, but not of a block it no longer has", () => {
    const blocks = new PermitBlocks();
    const held = blocks.put(block, 100, NOW);
    blocks.back(held);
    blocks.put({ ...block, id: "c" }, 100, NOW);
    blocks.back(held);
    blocks.forget();
    const { spent, remaining } = blocks.asker(NOW);
    expect(spent).toEqual([
      { id: "b", rest: { requests: 10, tokens: 1_000 } },
      { id: "c", rest: { requests: 9, tokens: 900 } },
    ]);
    expect(remaining).toEqual([
      { id: "b", calls: 0 },
      { id: "c", calls: 1 },
    ]);
  });

  it("is nothing where it had a single permit", () => {
    const blocks = new PermitBlocks();
    const single = { ...block, requests: 1, lifeMs: 0 };
    expect(blocks.put(single, 100, NOW).single).toBe(true);
    expect(blocks.take({ ...CALL, tokens: 0 }, NOW)).toBeNull();
  });

  it("is told of at once when no call is under way any more, with what is left", () => {
    const blocks = new PermitBlocks();
    const [first, second] = [blocks.put(block, 100, NOW), blocks.take(CALL, NOW)];
    blocks.over(first, 0);
    expect(blocks.isNewsDue(NOW + 1)).toBe(false);
    blocks.over(second ?? first, 0);
    expect(blocks.isNewsDue(NOW + 1)).toBe(true);
    expect(blocks.news()).toMatchObject({ remaining: [{ id: "b", calls: 0 }] });
    expect(blocks.isNewsDue(NOW + 1)).toBe(false);
    expect(blocks.take(CALL, NOW + 1)).toBeNull();
  });

  it.each([
    ["places are few", 0, () => {}],
    ["somebody was parked", 10 * SECOND, (blocks: PermitBlocks) => blocks.parked()],
  ])("each end is told at once where %s", (_, quietMs, meanwhile) => {
    const blocks = new PermitBlocks();
    const first = blocks.put({ ...block, quietMs }, 100, NOW);
    blocks.take(CALL, NOW);
    meanwhile(blocks);
    blocks.over(first, 0);
    expect(blocks.isNewsDue(NOW + 1)).toBe(true);
    expect(blocks.news().remaining).toEqual([{ id: "b", calls: 9 }]);
    expect(blocks.take(CALL, NOW + 1)).not.toBeNull();
  });

  it("of an object that counts no calls is used as ever, and nothing is told of its calls", () => {
    const blocks = new PermitBlocks();
    const endless = { id: null, requests: Infinity, tokens: Infinity, lifeMs: 10 * SECOND };
    blocks.over(blocks.put(endless, 100, NOW), 0);
    expect(blocks.take(CALL, NOW + 1)).not.toBeNull();
    expect(blocks.isNewsDue(NOW + MINUTE)).toBe(false);
    expect(blocks.asker(NOW)).toMatchObject(nothing);
  });
});
