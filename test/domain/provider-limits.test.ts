import { describe, expect, it } from "vitest";

import type { Learned, LearnedLimit } from "../../src/domain/learned.ts";
import {
  blockMs,
  isNews,
  learnedOf,
  limitsOf,
  withLearned,
  type LearnedModels,
} from "../../src/domain/provider-limits.ts";
import { HOUR, MINUTE, NOW, SECOND } from "./fixtures.ts";

const NOTHING = { requests: null, tokens: null };
const FALLBACK = { requests: 50, tokens: null };

const requests = (limit: number | null) => ({ requests: limit, tokens: null });
const heard = (limit: number | null, at = NOW) => ({ ...requests(limit), at });

function limit(order: number | null, setting: number | null, learned: LearnedModels = {}) {
  const says = { order: requests(order), setting: requests(setting), fallback: FALLBACK, learned };
  return limitsOf(says, NOW).requests;
}

describe("the limit of a provider", () => {
  it.each<[string, number | null, number | null, LearnedModels, number | null]>([
    ["is 50 where nobody says anything", null, null, {}, 50],
    ["is the setting's", null, 200, {}, 200],
    ["is what is ordered, whatever the setting says", 300, 200, {}, 300],
    ["is none where the setting is 0", null, 0, { a: heard(10) }, null],
    ["is none where 0 is ordered", 0, 200, {}, null],
    [
      "is what the provider says, where the operator says nothing",
      null,
      null,
      { a: heard(500) },
      500,
    ],
    ["is lowered by what the provider says", null, 200, { a: heard(100) }, 100],
    ["is not raised by it above the operator's", null, 200, { a: heard(500) }, 200],
    [
      "is the least of all models'",
      null,
      null,
      { a: heard(500), b: heard(80), c: heard(null) },
      80,
    ],
    ["forgets after an hour what was learned", null, null, { a: heard(9, NOW - HOUR) }, 50],
    ["remembers it until then", null, null, { a: heard(9, NOW - HOUR + 1) }, 9],
  ])("%s", (_, order, setting, learned, expected) => {
    expect(limit(order, setting, learned)).toBe(expected);
  });

  it("of tokens is there only where somebody says so", () => {
    const says = { order: NOTHING, setting: NOTHING, fallback: FALLBACK, learned: {} };
    expect(limitsOf(says, NOW).tokens).toBeNull();
    const learned = { a: { ...NOTHING, tokens: 30_000, at: NOW } };
    expect(limitsOf({ ...says, learned }, NOW).tokens).toBe(30_000);
    const setting = { requests: null, tokens: 10_000 };
    expect(limitsOf({ ...says, setting, learned }, NOW).tokens).toBe(10_000);
  });
});

function answerOf(told: Partial<Learned>): Learned {
  return { requests: null, tokens: null, retryAfterMs: null, ...told };
}

describe("what an answer says of its limits", () => {
  it.each<[string, LearnedLimit, number | null]>([
    [
      "is of a minute where a bucket is soon full",
      { limit: 500, remaining: 499, resetMs: 120 },
      500,
    ],
    ["is of a minute at half the window", { limit: 60, remaining: 30, resetMs: 30_000 }, 60],
    ["is not where it takes a day", { limit: 14_400, remaining: 14_398, resetMs: 12_000 }, null],
    ["is not where it takes a second", { limit: 10, remaining: 9, resetMs: 1_000 }, null],
    ["is nothing where it is spent in a second", { limit: 1, remaining: 0, resetMs: 1_000 }, null],
    ["is nothing where none was used", { limit: 500, remaining: 500, resetMs: 0 }, null],
    ["is nothing without its end", { limit: 500, remaining: 499, resetMs: null }, null],
    ["is nothing without what is left", { limit: 500, remaining: null, resetMs: 120 }, null],
    ["is nothing where it is nonsense", { limit: 0, remaining: -1, resetMs: 0 }, null],
  ])("%s", (_, told, expected) => {
    const known = learnedOf(answerOf({ requests: told }), NOW);
    expect(known).toEqual(expected === null ? null : heard(expected));
    expect(learnedOf(answerOf({ tokens: told }), NOW)?.tokens ?? null).toBe(expected);
  });

  it("is kept by model, the fifty heard last", () => {
    let learned: LearnedModels = {};
    for (let at = 0; at < 60; at++)
      learned = withLearned(learned, `m${at}`, heard(at + 1, NOW + at));
    expect(Object.keys(learned)).toHaveLength(50);
    expect(learned["m9"]).toBeUndefined();
    expect(withLearned(learned, "m59", heard(7))["m59"]).toEqual(heard(7));
  });

  it("is news where it is another, or was last told ten minutes ago", () => {
    expect(isNews(undefined, heard(500))).toBe(true);
    expect(isNews(heard(500), heard(500, NOW + 10 * MINUTE - 1))).toBe(false);
    expect(isNews(heard(500), heard(500, NOW + 10 * MINUTE))).toBe(true);
    expect(isNews(heard(500), heard(499))).toBe(true);
    expect(isNews(heard(500), { ...heard(500), tokens: 1 })).toBe(true);
  });
});

describe("a provider is not called", () => {
  const spent = { limit: 50, remaining: 0, resetMs: 20_000 };
  const left = { limit: 50, remaining: 1, resetMs: 20_000 };
  it.each<[string, boolean, Partial<Learned> | null, number, number]>([
    ["for as long as its 429 says", true, { retryAfterMs: 7_000, requests: spent }, 0, 7_000],
    [
      "until what is spent is there again, where it says no more",
      true,
      { tokens: spent },
      0,
      20_000,
    ],
    ["for a second after a 429 that says nothing", true, null, 0, 1_000],
    ["for eight after the fourth in a row", true, null, 3, 8_000],
    ["for eight at most, after however many", true, {}, 40, 8_000],
    ["for our longest wait at most, whatever it says", true, { retryAfterMs: 1e12 }, 0, 300_000],
    [
      "when an answer says that nothing is left",
      false,
      { requests: spent, tokens: left },
      0,
      20_000,
    ],
    [
      "for the longer of two",
      false,
      { requests: spent, tokens: { ...spent, resetMs: 9 } },
      0,
      20_000,
    ],
  ])("%s", (_, limited, learned, strikes, expected) => {
    const told = learned === null ? null : answerOf(learned);
    expect(blockMs({ limited, learned: told }, strikes, 300 * SECOND)).toBe(expected);
  });

  it.each([
    ["something is left", answerOf({ requests: left })],
    ["it says nothing", null],
    ["an end is not said", answerOf({ requests: { ...spent, resetMs: null } })],
    ["it only says when to come again", answerOf({ retryAfterMs: 5_000 })],
  ])("but is where %s", (_, learned) => {
    expect(blockMs({ limited: false, learned }, 0, 300 * SECOND)).toBe(0);
  });
});
