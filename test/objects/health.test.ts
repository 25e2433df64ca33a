import { env, exports } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { configOf } from "../../src/settings/config.ts";
import { checkHealth } from "../../src/health.ts";
import type { Health } from "../../src/schema/health.ts";
import { holdClock, passTime } from "./support.ts";
import { holdMeters, meters } from "./meters.ts";

const SECOND = 1_000;

holdClock({ ledgersToo: false });
holdMeters();
let hour = 0;
beforeEach(() => {
  // What an earlier test has measured is long forgotten.
  hour += 1;
  vi.setSystemTime(Date.now() + hour * 3_600 * SECOND);
});

async function health(): Promise<Health> {
  const response = await exports.default.fetch(new Request("https://afterword.example/health"));
  expect(response.status).toBe(200);
  return response.json();
}

/** The checks alone, without a request around them: one request cannot wait for what another does. */
function checks() {
  return checkHealth(env, configOf(env));
}

const WELL = {
  "jobs-high": "ok",
  "jobs-normal": "ok",
  "jobs-low": "ok",
  "jobs-long": "ok",
  "jobs-dead-letter": "ok",
  webhooks: "ok",
  "webhooks-dead-letter": "ok",
  dead_letters: "ok",
  provider_http: "ok",
  provider_simulator: "ok",
  auth: "ok",
  intake: "ok",
  default_model: "ok",
  webhook_rules: "ok",
};

describe("health", () => {
  it("is ok where every queue moves, the dead letters are few and the settings are well", async () => {
    const { status, queue, checks } = await health();
    expect({ status, queue, checks }).toEqual({
      status: "ok",
      queue: "llm-processing",
      checks: WELL,
    });
  });

  it.each([
    ["LANE_HIGH", "jobs-high", 301, "the oldest of 7 messages is 301 s old, more than 300 s"],
    ["LANE_NORMAL", "jobs-normal", 400, "the oldest of 7 messages is 400 s old, more than 300 s"],
    ["LANE_LOW", "jobs-low", 301, "the oldest of 7 messages is 301 s old, more than 300 s"],
    ["LANE_LONG", "jobs-long", 1_801, "the oldest of 7 messages is 1801 s old, more than 1800 s"],
    [
      "DEAD_LETTERS",
      "jobs-dead-letter",
      301,
      "the oldest of 7 messages is 301 s old, more than 300 s",
    ],
    ["WEBHOOKS", "webhooks", 3_601, "the oldest of 7 messages is 3601 s old, more than 3600 s"],
  ] as const)(
    "is degraded, and says so, where %s does not move",
    async (binding, name, age, reason) => {
      meters.queue[binding] = () =>
        Promise.resolve({
          backlogCount: 7,
          backlogBytes: 700,
          oldestMessageTimestamp: new Date(Date.now() - age * SECOND),
        });
      expect(await health()).toMatchObject({
        status: "degraded",
        checks: { ...WELL, [name]: reason },
      });
    },
  );

  it("leaves jobs of ten minutes the time they need", async () => {
    meters.queue.LANE_LONG = () =>
      Promise.resolve({
        backlogCount: 1,
        backlogBytes: 100,
        oldestMessageTimestamp: new Date(Date.now() - 1_200 * SECOND),
      });
    expect((await health()).status).toBe("ok");
  });

  it("is degraded where a queue or the dead letters cannot be asked", async () => {
    meters.queue.LANE_LOW = () => Promise.reject(new Error("canary"));
    meters.depth = () => Promise.reject(new Error("canary"));
    const told = await health();
    expect(told).toMatchObject({
      status: "degraded",
      checks: { ...WELL, "jobs-low": "unreachable", dead_letters: "unreachable" },
    });
    expect(JSON.stringify(told)).not.toContain("canary");
  });

  it("is degraded where the dead letters are many", async () => {
    meters.depth = () => Promise.resolve(120);
    expect((await health()).checks["dead_letters"]).toBe("120 dead letters, more than 100");
  });

  it("waits two seconds for a queue that does not answer, and no longer", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: Date.now() });
    meters.queue.LANE_HIGH = () => new Promise(() => {});
    const told = checks();
    await vi.advanceTimersByTimeAsync(1_999);
    expect(await Promise.race([told, Promise.resolve("still waiting")])).toBe("still waiting");
    await vi.advanceTimersByTimeAsync(1);
    expect(await told).toEqual({ ...WELL, "jobs-high": "unreachable" });
  });

  it("measures once in five seconds however often it is asked", async () => {
    let asked = 0;
    meters.queue.LANE_HIGH = () => {
      asked += 1;
      return Promise.resolve({ backlogCount: 0, backlogBytes: 0 });
    };
    await health();
    for (let times = 0; times < 20; times++) await health();
    passTime(4 * SECOND);
    await health();
    expect(asked).toBe(1);
    passTime(SECOND);
    await health();
    expect(asked).toBe(2);
  });

  it("tells what it knows while it measures anew", async () => {
    await checks();
    passTime(60 * SECOND);
    const slow = Promise.withResolvers<QueueMetrics>();
    meters.queue.LANE_HIGH = () => slow.promise;
    const measuring = checks();
    expect(await checks()).toEqual(WELL);
    slow.reject(new Error("overloaded"));
    const anew = { ...WELL, "jobs-high": "unreachable" };
    expect(await measuring).toEqual(anew);
    expect(await checks()).toEqual(anew);
  });

  it("asks the queues as they are bound", async () => {
    meters.release();
    const metrics = await env.LANE_HIGH.metrics();
    expect(metrics.backlogCount).toBe(0);
    expect((await health()).checks).toMatchObject({ "jobs-high": "ok", "jobs-long": "ok" });
  });
});
