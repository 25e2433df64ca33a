import { env, exports } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { tellStats } from "../../src/ledgers/stats-stub.ts";
import { readOpenMetrics } from "../support/openmetrics.ts";
import { holdMeters, meters } from "./meters.ts";
import { DAY_MS, holdClock, newName, passTime } from "./support.ts";

const SECOND = 1_000;

holdClock({ ledgersToo: false });
holdMeters();
beforeEach(() => vi.setSystemTime(Math.ceil(Date.now() / DAY_MS) * DAY_MS));

/** The value of a series, as a scrape tells it; undefined if it does not. */
async function scraped() {
  const response = await exports.default.fetch(new Request("https://afterword.example/metrics"));
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe(
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  // By its bytes: to the runtime this type is none of text.
  const text = new TextDecoder().decode(await response.arrayBuffer());
  const samples = [...readOpenMetrics(text).values()].flatMap((family) => family.samples);
  return (name: string, ...labels: string[]) =>
    samples.find((sample) => {
      const values = Object.values(sample.labels);
      return sample.name === name && values.join() === labels.join();
    })?.value;
}

function end(): Promise<void> {
  return tellStats(env, {
    type: "ended",
    job: newName(),
    tenant: "acme",
    model: "gpt-4o",
    provider: "openai",
    status: "completed",
    errorCode: null,
    ttftMs: 600,
    totalMs: 8_000,
    costUsd: 0.25,
    wastedCostUsd: 0,
    promptTokens: 9,
    completionTokens: 90,
  });
}

describe("GET /metrics", () => {
  it("tells what the service has counted since it began, over days", async () => {
    await Promise.all(Array.from({ length: 20 }, end));
    passTime(3 * DAY_MS);
    await Promise.all(Array.from({ length: 20 }, end));
    passTime(5 * SECOND);
    // A shard writes again at the next fact, if its alarm has not come before.
    await Promise.all(Array.from({ length: 200 }, end));
    const value = await scraped();
    expect(value("afterword_jobs_total", "completed")).toBeGreaterThanOrEqual(40);
    expect(value("afterword_tokens_total", "gpt-4o", "openai", "output")).toBe(
      90 * (value("afterword_jobs_total", "completed") ?? 0),
    );
    expect(value("afterword_job_duration_seconds_bucket", "10.0")).toBe(
      value("afterword_jobs_total", "completed"),
    );
    expect(value("afterword_stats_shards_missing")).toBe(0);
  });

  it("tells how the queues and the dead letters are, and what /health thinks of it", async () => {
    const oldestMessageTimestamp = new Date(Date.now() - 301 * SECOND);
    meters.queue.LANE_LOW = () =>
      Promise.resolve({ backlogCount: 9, backlogBytes: 900, oldestMessageTimestamp });
    meters.queue.LANE_HIGH = () => Promise.reject(new Error("overloaded"));
    meters.depth = () => Promise.resolve(3);
    const value = await scraped();
    expect(value("afterword_queue_messages", "jobs-low")).toBe(9);
    expect(value("afterword_queue_oldest_seconds", "jobs-low")).toBe(301);
    expect(value("afterword_queue_messages", "jobs-high")).toBeUndefined();
    expect(value("afterword_dead_letters")).toBe(3);
    const checks = ["jobs-low", "jobs-high", "jobs-normal", "default_model", "auth"];
    const told = checks.map((check) => [check, value("afterword_health_ok", check)]);
    expect(Object.fromEntries(told)).toMatchObject({
      "jobs-low": 0,
      "jobs-high": 0,
      "jobs-normal": 1,
      auth: 1,
    });
  });

  it("tells no count while a part of them cannot be read, and says that it is so", async () => {
    await end();
    const shards = env.STATS.getByName.bind(env.STATS);
    const failing = { total: () => Promise.reject(new Error("overloaded")) };
    const broken = (name: string) => (name === "stats-3" ? failing : shards(name));
    Object.defineProperty(env.STATS, "getByName", { value: broken, configurable: true });
    const value = await scraped();
    Reflect.deleteProperty(env.STATS, "getByName");
    expect(value("afterword_stats_shards_missing")).toBe(1);
    expect(value("afterword_jobs_total", "completed")).toBeUndefined();
    expect(value("afterword_dead_letters")).toBe(0);
    expect((await scraped())("afterword_jobs_total", "completed")).toBeGreaterThan(0);
  });
});
