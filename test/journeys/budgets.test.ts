import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import type { UsageView } from "../../src/schema/usage.ts";
import { expectJson, textOf } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

const BUDGET_USD = 1;

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney({ DAY_BUDGET_USD: `${BUDGET_USD}` });
});
afterAll(() => journey.close());

async function usage(query = ""): Promise<UsageView> {
  return expectJson<UsageView>(await journey.api.fetch(`/api/usage${query}`), 200);
}

/** The usage once nothing is reserved any more: jobs tell their account behind their answers' backs. */
function settledUsage(query = ""): Promise<UsageView> {
  return vi.waitUntil(
    async () => {
      const told = await usage(query);
      return told.budget.day.reserved_usd === 0 ? told : undefined;
    },
    { timeout: 10_000 },
  );
}

describe("a job with a cap of its own", () => {
  it("ends at the cap, whatever the provider does, and keeps the text it has paid for", async () => {
    const { api, provider } = journey;
    const prompt = freshPrompt("[tokens=100000 every=1]");
    const job = await api.submit({ prompt, model: "gpt-4o", max_cost_usd: 0.002 });
    const ended = await api.ended(job.job_id);
    expect(ended).toMatchObject({ status: "failed", error_code: "budget", attempts_made: 1 });
    expect(ended.wasted_cost_usd).toBeGreaterThan(0.0019);
    expect(ended.wasted_cost_usd).toBeLessThan(0.0026);
    const log = await api.log(job.job_id);
    const { partial_output } = await api.read(job.job_id, "?include=partial_output");
    expect(partial_output).toMatch(/^a\d+\.0 a\d+\.1 /);
    expect(partial_output).toBe(textOf(log));
    const calls = provider.calls.filter((call) => call.prompt === prompt);
    expect(calls).toHaveLength(1);
    // What the prompt leaves of $0.002, at $10 a million.
    expect(calls[0]?.body.max_completion_tokens).toBeGreaterThan(190);
    expect(calls[0]?.body.max_completion_tokens).toBeLessThan(200);
  });

  it("ends there too where the provider heeds the limit, and completes where it needs less", async () => {
    const { api, script } = journey;
    const cut = freshPrompt();
    script(cut, () => ({ kind: "answer", tokens: 5, finishReason: "length" }));
    const capped = { model: "gpt-4o", max_cost_usd: 0.002 };
    const first = await api.ended((await api.submit({ prompt: cut, ...capped })).job_id);
    expect(first).toMatchObject({ status: "failed", error_code: "budget", attempts_made: 1 });
    expect(first.usage).toMatchObject({ completion_tokens: 5 });
    const short = await api.submit({ prompt: freshPrompt(), ...capped });
    expect(await api.ended(short.job_id)).toMatchObject({
      status: "completed",
      max_cost_usd: 0.002,
    });
  });
});

describe("usage", () => {
  it("is told of jobs that ended, each by its user, with what was for nothing", async () => {
    const { api } = journey;
    const prompt = freshPrompt("[cut x1]");
    const job = await api.submit({ prompt, model: "gpt-4o", user: "ada" });
    const { cost_usd, wasted_cost_usd } = await api.ended(job.job_id);
    const { data, total, budget } = await settledUsage("?group_by=user");
    const ada = data.find(({ user }) => user === "ada");
    expect(ada).toMatchObject({ jobs: 1, wasted_cost_usd });
    expect(ada?.cost_usd).toBeCloseTo((cost_usd ?? 0) + wasted_cost_usd, 9);
    expect(total.jobs).toBe(4);
    expect(budget.day).toMatchObject({ limit_usd: BUDGET_USD, spent_usd: total.cost_usd });
  });
});

describe("a budget", () => {
  it("lets exactly as many of two hundred submissions at once in as it holds", async () => {
    const { api } = journey;
    const { budget } = await settledUsage();
    const holds = Math.floor((BUDGET_USD - budget.day.spent_usd) / 0.01);
    // Not due for an hour, so what is reserved stays so.
    const job = { model: "gpt-4o", max_cost_usd: 0.01, delay_seconds: 3_600 };
    const all = Array.from({ length: 200 }, () => api.send({ ...job, prompt: freshPrompt() }));
    const statuses = await Promise.all(
      all.map(async (sent) => {
        const answer = await sent;
        await answer.arrayBuffer();
        return answer.status;
      }),
    );
    expect(statuses.filter((status) => status === 202)).toHaveLength(holds);
    expect(statuses.filter((status) => status === 402)).toHaveLength(200 - holds);
    expect((await usage()).budget.day.reserved_usd).toBeCloseTo(holds * 0.01, 9);
  });
});
