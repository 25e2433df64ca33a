import { env, exports } from "cloudflare:workers";
import { Hono } from "hono";
import { beforeEach, describe, expect, it, vi } from "vitest";

import type { JobEnded, JobStarted } from "../../src/domain/stats.ts";
import { NO_LIMITS } from "../../src/domain/tenant.ts";
import { requireScope } from "../../src/http/auth.ts";
import type { App } from "../../src/http/context.ts";
import { onError } from "../../src/http/errors.ts";
import { tellStats } from "../../src/ledgers/stats-stub.ts";
import { Stats } from "../../src/schema/stats.ts";
import type { Scope } from "../../src/schema/tenant.ts";
import { holdMeters, meters } from "./meters.ts";
import { DAY_MS, holdClock, newName, passTime } from "./support.ts";

const SECOND = 1_000;

holdClock({ ledgersToo: false });
holdMeters();
let day = 0;
beforeEach(() => {
  // Each test has a time of its own, which no other's jobs reach into.
  day += 3;
  vi.setSystemTime(Math.ceil(Date.now() / DAY_MS + day) * DAY_MS);
});

function ask(query = ""): Promise<Response> {
  const url = `https://afterword.example/api/admin/stats${query}`;
  return exports.default.fetch(new Request(url));
}

/** Parsed strictly: what is sent is what is documented, and nothing else. */
async function stats(query = ""): Promise<Stats> {
  const response = await ask(query);
  expect(response.status).toBe(200);
  const body: unknown = await response.json();
  const parsed = Stats.parse(body);
  expect(body).toEqual(parsed);
  return parsed;
}

function start(job: string, over: Partial<JobStarted> = {}): Promise<void> {
  const expiresAt = Date.now() + 150 * SECOND;
  const fact = {
    type: "started",
    job,
    lane: "normal",

    queueMs: 100,
    expiresAt,
  } as const;
  return tellStats(env, { ...fact, ...over });
}

function end(job: string, over: Partial<JobEnded> = {}): Promise<void> {
  return tellStats(env, {
    type: "ended",
    job,
    tenant: "acme",
    model: "gpt-4o",
    provider: "openai",
    status: "completed",
    errorCode: null,
    ttftMs: 600,
    totalMs: 8_000,
    costUsd: 0.25,
    wastedCostUsd: 0,
    ...over,
  });
}

describe("the statistics", () => {
  it("tell what the jobs did: how many, how fast, why not, and what it cost whom", async () => {
    const jobs = Array.from({ length: 10 }, newName);
    for (const job of jobs) await start(job);
    await tellStats(env, { type: "retried", job: jobs[0] ?? "", errorCode: "stalled" });
    await start(jobs[0] ?? "", { queueMs: null });
    for (const job of jobs.slice(0, 6)) await end(job);
    await end(jobs[6] ?? "", {
      tenant: "globex",
      model: "claude-haiku-4-5",
      provider: "anthropic",
      status: "failed",
      errorCode: "timeout",
      ttftMs: null,
      costUsd: null,
      wastedCostUsd: 0.5,
    });
    await end(jobs[7] ?? "", { status: "cancelled", costUsd: null });
    passTime(60 * SECOND);
    const told = await stats("?window_seconds=60");
    expect(told).toMatchObject({
      window_seconds: 60,
      since: new Date(Date.now() - 60 * SECOND).toISOString(),
      generated_at: new Date(Date.now()).toISOString(),
      active: { total: 2, by_lane: { normal: 2 } },
      jobs: { started: 10, completed: 6, failed: 1, cancelled: 1, per_minute: { started: 10 } },
      retries: 1,
      stalls: 1,
      errors: [
        { error_code: "stalled", retried: 1, failed: 0 },
        { error_code: "timeout", retried: 0, failed: 1 },
      ],
      queue_ms: { count: 10 },
      ttft_ms: { count: 7 },
      latency_ms: { count: 6 },
      cost: {
        total_usd: 2,
        wasted_usd: 0.5,
        by_tenant: [
          { tenant: "acme", jobs: 7, failed: 0, total_usd: 1.5, wasted_usd: 0 },
          { tenant: "globex", jobs: 1, failed: 1, total_usd: 0.5, wasted_usd: 0.5 },
        ],
        by_model: [{ model: "gpt-4o" }, { model: "claude-haiku-4-5" }],
        by_provider: [{ provider: "openai" }, { provider: "anthropic" }],
      },
      missing_shards: 0,
    });
    expect(Math.abs((told.latency_ms.p50 ?? 0) - 8_000)).toBeLessThanOrEqual(400);
    expect(Math.abs((told.queue_ms.p99 ?? 0) - 100)).toBeLessThanOrEqual(5);
  });

  it("tell how the queues and the dead letters are", async () => {
    meters.queue.LANE_LOW = () =>
      Promise.resolve({
        backlogCount: 9,
        backlogBytes: 900,
        oldestMessageTimestamp: new Date(Date.now() - 30 * SECOND),
      });
    meters.queue.LANE_HIGH = () => Promise.reject(new Error("overloaded"));
    meters.depth = () => Promise.resolve(3);
    const { queues, dead_letters } = await stats();
    expect(queues).toHaveLength(7);
    expect(queues).toContainEqual({
      queue: "jobs-low",
      backlog: 9,
      backlog_bytes: 900,
      oldest_message_age_seconds: 30,
      parked: 0,
    });
    expect(queues[0]).toEqual({
      queue: "jobs-high",
      backlog: null,
      backlog_bytes: null,
      oldest_message_age_seconds: null,
      parked: 0,
    });
    expect(dead_letters).toEqual({ depth: 3 });
    meters.depth = () => Promise.reject(new Error("overloaded"));
    expect((await stats()).dead_letters).toEqual({ depth: null });
  });

  it("are of the last hour unless told otherwise", async () => {
    await end(newName());
    passTime(30 * 60 * SECOND);
    expect((await stats()).jobs.completed).toBe(1);
    expect((await stats("?window_seconds=600")).jobs.completed).toBe(0);
    passTime(3_600 * SECOND);
    expect((await stats()).jobs.completed).toBe(0);
    expect((await stats("?window_seconds=86400")).jobs.completed).toBe(1);
  });

  it.each(["59", "86401", "0", "-1", "60.5", "", "hour", "NaN", "Infinity"])(
    "of a window of %j seconds are refused",
    async (seconds) => {
      const response = await ask(`?window_seconds=${seconds}`);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        code: "invalid-request",
        errors: [{ pointer: "/window_seconds" }],
      });
    },
  );
});

/** An app with one such route, asked by somebody with these scopes. */
function asked(...scopes: Scope[]) {
  const app = new Hono<App>();
  app.onError(onError);
  app.use(async (c, next) => {
    c.set("requestId", "req_1");
    const holder = { tenant: "acme", tier: "default", keyId: null } as const;
    c.set("principal", { ...holder, limits: NO_LIMITS, scopes });
    await next();
  });
  app.get("/", requireScope("admin"), (c) => c.text("come in"));
  return app.request("/");
}

describe("a route for the operator", () => {
  it("lets in who has the scope, and tells everybody else which is missing", async () => {
    expect((await asked("jobs:read", "admin")).status).toBe(200);
    const refused = await asked("jobs:read", "jobs:write");
    expect(refused.status).toBe(403);
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(await refused.json()).toMatchObject({
      code: "forbidden",
      title: "Forbidden",
      status: 403,
      detail: 'This needs a key with the scope "admin"',
    });
  });
});
