import { describe, expect, it } from "vitest";

import { affordableTokens } from "../../src/domain/cost.ts";
import { nanoOf } from "../../src/domain/money.ts";
import { NO_LIMITS } from "../../src/domain/tenant.ts";
import { NO_USAGE, type UsageGroup } from "../../src/domain/usage.ts";
import { usageQuery, usageView } from "../../src/domain/usage-view.ts";
import { mostPromptTokens, worstCaseNano } from "../../src/domain/worst-case.ts";
import { CLAUDE, DAY, GPT, HOUR, NOW } from "./fixtures.ts";

const CALLS = {
  prices: [GPT.price],
  maxAttempts: 1,
  promptTokens: 1_000,
  maxTokens: 100,
  maxCostUsd: undefined,
};

describe("the most a job may cost", () => {
  it("is each call of each model it may call, its prompt and its longest answer", () => {
    expect(worstCaseNano(CALLS)).toBe(nanoOf(0.0035));
    expect(worstCaseNano({ ...CALLS, maxAttempts: 3 })).toBe(nanoOf(0.0105));
    const prices = [GPT.price, CLAUDE.price];
    expect(worstCaseNano({ ...CALLS, prices, maxAttempts: 2 })).toBe(nanoOf(0.01));
  });

  it("is the job's own cap where that is less", () => {
    expect(worstCaseNano({ ...CALLS, maxCostUsd: 0.001 })).toBe(nanoOf(0.001));
    expect(worstCaseNano({ ...CALLS, maxCostUsd: 1 })).toBe(nanoOf(0.0035));
  });

  it("is not known where a price is not, cap or no cap", () => {
    for (const price of [null, { input: null, output: 1 }, { input: 1, output: null }]) {
      const prices = [GPT.price, price];
      expect(worstCaseNano({ ...CALLS, prices, maxCostUsd: 1 })).toBeNull();
    }
  });

  it("rounds up, so that no part of a billionth is spent unreserved", () => {
    const prices = [{ input: 0.000_01, output: 0 }];
    expect(worstCaseNano({ ...CALLS, prices, promptTokens: 1 })).toBe(1);
  });
});

describe("a prompt's most tokens", () => {
  it("are no fewer than its bytes, with all that goes along with it", () => {
    const text = "é€😀".repeat(100);
    expect(mostPromptTokens({ prompt: text })).toBeGreaterThanOrEqual(900);
    const tools = [{ type: "function" as const, function: { name: "f", description: text } }];
    const messages = [{ role: "user" as const, content: text }];
    expect(mostPromptTokens({ messages, params: { tools } })).toBeGreaterThanOrEqual(1_800);
  });

  it("are many for an image, a sound or a file, whose address says nothing of it", () => {
    const text = { type: "text" as const, text: "What is this?" };
    const image = { type: "image_url" as const, image_url: { url: "https://a.example/b.png" } };
    const of = (content: (typeof text | typeof image)[]) =>
      mostPromptTokens({ messages: [{ role: "user", content }] });
    expect(of([text])).toBeLessThan(200);
    expect(of([text, image, image])).toBeGreaterThan(100_000);
  });
});

describe("what a job's cap still pays for", () => {
  const budget = { maxCostUsd: 0.001, promptTokens: 100 };

  it("is what its calls so far and the next prompt leave of it", () => {
    expect(affordableTokens(budget, [], GPT.price)).toBe(75);
    expect(affordableTokens(budget, [{ costUsd: 0.0005 }, { costUsd: null }], GPT.price)).toBe(25);
    expect(affordableTokens(budget, [{ costUsd: 0.00075 }], GPT.price)).toBe(0);
    expect(affordableTokens(budget, [{ costUsd: 0.0008 }], GPT.price)).toBe(0);
  });

  it("is without end where answers cost nothing, and nothing where nobody knows", () => {
    expect(affordableTokens(budget, [], { input: 1, output: 0 })).toBe(Infinity);
    expect(affordableTokens(budget, [], null)).toBe(0);
    expect(affordableTokens(budget, [], { input: null, output: 1 })).toBe(0);
  });
});

function daysOf(from: number | null, to: number | null): number[] {
  const query = usageQuery({ from, to, groupBy: "day" }, NOW);
  return [query.from, query.to];
}

/** One group as it is told of. */
function told(groupBy: UsageGroup, value: string | number | null) {
  const groups = [{ value, ...NO_USAGE, jobs: 1, costNano: 2_500_000_000 }];
  const query = { from: NOW, to: NOW + DAY, groupBy };
  const spent = { settledNano: 0, reservedNano: 0 };
  const usage = { groups, left: 0, total: NO_USAGE };
  return usageView(query, usage, { day: spent, month: spent }, NO_LIMITS, NOW).data;
}

describe("usage", () => {
  it("is of whole days: a date behind the last is left out, an instant's own day is not", () => {
    const [november, tomorrow] = [Date.UTC(2026, 10, 1), Date.UTC(2026, 10, 23)];
    expect(daysOf(null, null)).toEqual([november, tomorrow]);
    expect(daysOf(tomorrow - DAY, tomorrow)).toEqual([tomorrow - DAY, tomorrow]);
    expect(daysOf(NOW, NOW + HOUR)).toEqual([tomorrow - DAY, tomorrow]);
  });

  it("names its groups by what they are of", () => {
    const day = Date.UTC(2026, 10, 22);
    expect(told("day", day)).toMatchObject([{ day: "2026-11-22", cost_usd: 2.5 }]);
    expect(told("model", "gpt-4o")).toMatchObject([{ model: "gpt-4o", jobs: 1 }]);
    expect(told("user", null)).toMatchObject([{ user: null }]);
  });
});
