import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { accountName } from "../../src/ids.ts";
import type { AccountRpc } from "../../src/ledgers/account-rpc.ts";
import type { Problem } from "../../src/schema/error.ts";
import type { UsageView } from "../../src/schema/usage.ts";
import { holdClock, newName, passTime } from "./support.ts";
import { request, submission } from "./worker-side.ts";

holdClock({ ledgersToo: false });

/** One token of an answer of gpt-4o costs $0.00001, and each token of a prompt a quarter of that. */
const JOB = { prompt: "Why?", model: "gpt-4o", max_attempts: 1, params: { max_tokens: 1_000 } };

/** The Worker's environment with these settings, and an account that no other test has. */
function limited(settings: Record<string, string>, accounts = newName()): Env {
  const getByName = (name: string): AccountRpc => env.ACCOUNTS.getByName(`${accounts}-${name}`);
  const open = { ...env, OPENAI_API_KEY: "none", AUTH_MODE: "none", ACCOUNTS: { getByName } };
  return { ...open, ...settings } as unknown as Env;
}

/** An account that cannot be reached. */
const AWAY = { getByName: () => ({ admit: () => Promise.reject(new Error("overloaded")) }) };

function submit(env: Env, job: object = JOB, key = newName()): Promise<Response> {
  return request(env, "/api/jobs", submission(key, job));
}

async function refused(response: Response): Promise<[number, string]> {
  const { status, code } = await response.json<Problem>();
  return [status, code];
}

describe("a submission's answer", () => {
  it("says in the current draft's fields how much of each limit is left", async () => {
    const env = limited({ SUBMITS_PER_MINUTE: "2", MAX_QUEUED_JOBS: "5" });
    const first = await submit(env);
    expect([first.status, first.headers.get("ratelimit-policy")]).toEqual([
      202,
      '"submit";q=2;w=60, "queued";q=5;qu="concurrent-requests"',
    ]);
    expect(first.headers.get("ratelimit")).toBe('"submit";r=1;t=60, "queued";r=4');
    passTime(20_000);
    await submit(env);
    const third = await submit(env);
    expect(third.headers.get("ratelimit")).toBe('"submit";r=0;t=40, "queued";r=3');
    expect(third.headers.get("retry-after")).toBe("40");
    expect(await refused(third)).toEqual([429, "too-many-requests"]);
    passTime(40_000);
    expect((await submit(env)).status).toBe(202);
  });

  it("is 429 where none may be submitted at all, and holds out no hope of a second", async () => {
    const answer = await submit(limited({ SUBMITS_PER_MINUTE: "0" }));
    expect(answer.headers.get("ratelimit")).toBe('"submit";r=0');
    expect(answer.headers.get("retry-after")).toBe("60");
    expect((await answer.json<Problem>()).detail).not.toContain("room for one");
  });

  it("is 429 while as many jobs are open as may be, and says nothing of limits that are not", async () => {
    const env = limited({ MAX_QUEUED_JOBS: "1" });
    await submit(env);
    const second = await submit(env);
    expect(second.headers.get("retry-after")).toBe("10");
    expect(second.headers.get("ratelimit")).toBe('"queued";r=0');
    expect(await refused(second)).toEqual([429, "too-many-requests"]);
    const free = await submit(limited({}));
    expect([free.status, free.headers.get("ratelimit")]).toEqual([202, null]);
  });

  it("is 402 where the worst case does not fit the budget, and names both", async () => {
    const env = limited({ MONTH_BUDGET_USD: "0.02" });
    expect((await submit(env)).status).toBe(202);
    const { status, code, detail } = await (await submit(env)).json<Problem>();
    expect([status, code]).toEqual([402, "budget-exceeded"]);
    expect(detail).toMatch(
      /^\$0\.009\d+ of the month's budget is left until .*, and this job may cost \$0\.01\d+$/,
    );
    // What it cannot cost need not be reserved.
    expect((await submit(env, { ...JOB, max_cost_usd: 0.001 })).status).toBe(202);
  });

  it("is 402 where nobody knows the price, and 400 where a cap would need it", async () => {
    const settings = { OPENROUTER_API_KEY: "none", DAY_BUDGET_USD: "1000" };
    const unpriced = { ...JOB, model: "openrouter/any" };
    expect(await refused(await submit(limited(settings), unpriced))).toEqual([
      402,
      "budget-exceeded",
    ]);
    const capped = { ...unpriced, max_cost_usd: 1 };
    const answer = await (await submit(limited(settings), capped)).json<Problem>();
    expect(answer).toMatchObject({ status: 400, errors: [{ pointer: "/max_cost_usd" }] });
    const low = await (await submit(limited({}), { ...JOB, max_cost_usd: 1e-9 })).json<Problem>();
    expect(low).toMatchObject({ status: 400, errors: [{ pointer: "/max_cost_usd" }] });
  });

  it("is 503 where the account cannot be reached, but for what was submitted before", async () => {
    const settings = { DAY_BUDGET_USD: "1" };
    const key = newName();
    expect((await submit(limited(settings), JOB, key)).status).toBe(202);
    const away: Env = { ...limited(settings), ACCOUNTS: AWAY } as unknown as Env;
    const response = await submit(away);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await refused(response)).toEqual([503, "unavailable"]);
    expect((await submit(away, JOB, key)).status).toBe(200);
  });
});

describe("a repetition", () => {
  it("is neither refused nor charged, however often, and another payload is told so", async () => {
    const env = limited({ SUBMITS_PER_MINUTE: "2", MAX_QUEUED_JOBS: "2", DAY_BUDGET_USD: "0.03" });
    const key = newName();
    expect((await submit(env, JOB, key)).status).toBe(202);
    for (const _again of [1, 2, 3]) expect((await submit(env, JOB, key)).status).toBe(200);
    expect((await submit(env)).status).toBe(202);
    expect((await submit(env)).status).toBe(429);
    expect((await submit(env, JOB, key)).status).toBe(200);
    expect((await submit(env, { ...JOB, prompt: "Why not?" }, key)).status).toBe(422);
  });

  it("within its window is the same job where its tenant's budget is out", async () => {
    const env = limited({ DAY_BUDGET_USD: "0.015" });
    const job = { ...JOB, prompt: newName(), dedupe_window_seconds: 60 };
    const headers = { "content-type": "application/json" };
    const send = () =>
      request(env, "/api/jobs", { method: "POST", headers, body: JSON.stringify(job) });
    expect([(await send()).status, (await send()).status]).toEqual([202, 200]);
    expect((await submit(env)).status).toBe(402);
    expect((await send()).status).toBe(200);
  });
});

describe("trying again", () => {
  it("is a submission: it needs room in the budget, and is one however often", async () => {
    const accounts = newName();
    const env = limited({ DAY_BUDGET_USD: "0.015" }, accounts);
    const key = newName();
    await submit(limited({}, accounts), JOB, key);
    await request(env, `/api/jobs/${key}/cancel`, { method: "POST" });
    const again = () => request(env, `/api/jobs/${key}/retry`, { method: "POST" });
    expect([(await again()).status, (await again()).status]).toEqual([202, 200]);
    const other = newName();
    await submit(limited({}, accounts), JOB, other);
    await request(env, `/api/jobs/${other}/cancel`, { method: "POST" });
    expect((await request(env, `/api/jobs/${other}/retry`, { method: "POST" })).status).toBe(402);
  });
});

describe("while the intake is paused", () => {
  it("no job is taken nor tried again, whatever the body, and all else goes on", async () => {
    const key = newName();
    await submit(limited({}), JOB, key);
    const paused = limited({ INTAKE: "paused" });
    const response = await request(paused, "/api/jobs", { method: "POST", body: "no JSON" });
    expect(response.headers.get("retry-after")).toBe("60");
    expect(await refused(response)).toEqual([503, "intake-paused"]);
    expect((await request(paused, `/api/jobs/${key}`)).status).toBe(200);
    expect((await request(paused, `/api/jobs/${key}/cancel`, { method: "POST" })).status).toBe(200);
    expect((await request(paused, `/api/jobs/${key}/retry`, { method: "POST" })).status).toBe(503);
    const { checks } = await (await request(paused, "/health")).json<{ checks: object }>();
    expect(checks).toMatchObject({ intake: "INTAKE is paused: no new jobs are taken" });
  });
});

describe("what comes before parsing", () => {
  it("is the size of the headers, and what the body says of its own", async () => {
    const headers = { "x-long": "x".repeat(33_000) };
    expect(await refused(await request(limited({}), "/api/jobs/none", { headers }))).toEqual([
      431,
      "headers-too-large",
    ]);
    const body = new ReadableStream({
      pull: () => {
        throw new Error("the body was read");
      },
    });
    const declared = { "content-type": "application/json", "content-length": "1048577" };
    const init = { method: "POST", headers: declared, body };
    expect(await refused(await request(limited({}), "/api/jobs", init))).toEqual([
      413,
      "payload-too-large",
    ]);
  });
});

describe("usage", () => {
  it("bears what no provider can have meant: the budget is spent, and the account answers", async () => {
    const env = limited({ DAY_BUDGET_USD: "1" });
    const account = env.ACCOUNTS.getByName(await accountName("dev"));
    // Each fits into a row, and both together into no integer of SQLite.
    const cost = { costNano: 5e18, wastedNano: 0, completionTokens: 0 };
    const bill = { model: "gpt-4o", endedAt: Date.now(), promptTokens: 2e15, ...cost };
    for (const job of [newName(), newName()]) {
      await account.settle({ uid: job, submittedAt: Date.now(), job }, bill);
    }
    expect(await refused(await submit(env))).toEqual([402, "budget-exceeded"]);
    const { total } = await (await request(env, "/api/usage")).json<UsageView>();
    expect(total).toMatchObject({ jobs: 2, prompt_tokens: 4e15, cost_usd: 1e10 });
  });

  it("tells the budgets, and refuses what is no time or no time between", async () => {
    const env = limited({ DAY_BUDGET_USD: "1.5" });
    await submit(env, { ...JOB, max_cost_usd: 0.001 });
    const answer = await request(env, "/api/usage?group_by=user&from=2026-11-01");
    const usage = await answer.json<object>();
    expect([answer.status, usage]).toMatchObject([
      200,
      {
        from: "2026-11-01T00:00:00.000Z",
        data: [],
        total: { jobs: 0, cost_usd: 0 },
        budget: {
          day: { limit_usd: 1.5, spent_usd: 0, reserved_usd: 0.001 },
          month: { limit_usd: null, reserved_usd: 0.001 },
        },
      },
    ]);
    for (const query of ["from=yesterday", "group_by=tenant", "from=2026-12-01&to=2026-12-01"]) {
      expect((await request(env, `/api/usage?${query}`)).status).toBe(400);
    }
  });
});
