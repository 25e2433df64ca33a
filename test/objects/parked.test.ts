import { env, exports } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Lane } from "../../src/domain/lane.ts";
import { checkHealth } from "../../src/health.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import { Health } from "../../src/schema/health.ts";
import { Stats } from "../../src/schema/stats.ts";
import { configOf } from "../../src/settings/config.ts";
import { readOpenMetrics } from "../support/openmetrics.ts";
import { holdMeters } from "./meters.ts";
import { DAY_MS, forgetProvider, holdClock, passTime } from "./support.ts";

const SECOND = 1_000;
const ASKER = { most: 1, spent: [], tokens: 0 };

/** The one provider that is always on here. */
const SIMULATOR = "simulator";

holdClock({ ledgersToo: false });
holdMeters();
afterEach(() => void Reflect.deleteProperty(env.PROVIDERS, "getByName"));
let days = 0;
beforeEach(async () => {
  await forgetProvider(SIMULATOR);
  // What an earlier test has measured is long forgotten.
  days += 1;
  vi.setSystemTime(Date.now() + days * DAY_MS);
});

/** Lets so many jobs of a lane wait that have been due for this long. */
async function park(count: number, lane: Lane, seconds: number): Promise<void> {
  const since = Date.now() - seconds * SECOND;
  for (let at = 0; at < count; at++) {
    const wish = { job: `${lane}-${at}`, lane, tenant: `t${at}`, tokens: 9, since: since + at };
    const verdict = await providerNamed(env, SIMULATOR).ask(wish, ASKER);
    expect(verdict).toEqual({ type: "parked" });
  }
}

function pause(paused: boolean) {
  return providerNamed(env, SIMULATOR).order({ paused });
}

function read(path: string): Promise<Response> {
  return exports.default.fetch(new Request(`https://afterword.example${path}`));
}

async function check(): Promise<string | undefined> {
  return Health.parse(await (await read("/health")).json()).checks[`provider_${SIMULATOR}`];
}

async function parkedByQueue() {
  const { queues } = Stats.parse(await (await read("/api/admin/stats")).json());
  return Object.fromEntries(queues.map(({ queue, parked }) => [queue, parked]));
}

/** What a scrape tells of providers: the values of each series, by its name and labels. */
async function scraped() {
  const response = await read("/metrics");
  const text = new TextDecoder().decode(await response.arrayBuffer());
  const samples = [...readOpenMetrics(text).values()].flatMap((family) => family.samples);
  const told = samples.map(({ name, labels, value }) => {
    return [[name, ...Object.values(labels)].join(" ").replace("afterword_", ""), value];
  });
  return Object.fromEntries(told.filter(([name]) => /simulator/.test(`${name}`))) as object;
}

/** Lets each call of a provider's state come to this. */
function stateComesTo(state: () => Promise<unknown>): void {
  const value = () => ({ state });
  Object.defineProperty(env.PROVIDERS, "getByName", { value, configurable: true });
}

describe("jobs that are parked", () => {
  it("are seen by lane, with the age of the oldest, though no queue has a message of them", async () => {
    await pause(true);
    await park(3, "low", 40);
    await park(2, "normal", 90);
    await park(1, "high", 10);
    expect(await parkedByQueue()).toMatchObject({
      "jobs-high": 1,
      "jobs-normal": 2,
      "jobs-low": 3,
      webhooks: 0,
    });
    expect(await scraped()).toEqual({
      "jobs_parked simulator high": 1,
      "jobs_parked simulator normal": 2,
      "jobs_parked simulator low": 3,
      "jobs_parked simulator long": 0,
      "jobs_parked_oldest_seconds simulator": 90,
      "provider_paused simulator": 1,
      "provider_blocked_seconds simulator": 0,
      "health_ok provider_simulator": 0,
    });
  });

  it("make /health degraded while their provider is paused, and no longer than that", async () => {
    await pause(true);
    await park(1, "high", 0);
    expect(await check()).toBe("paused, and 1 jobs wait");
    await pause(false);
    passTime(5 * SECOND);
    expect(await check()).toBe("ok");
  });

  it("make it degraded once the oldest has waited longer than the setting allows", async () => {
    const learned = { requests: null, tokens: null, retryAfterMs: 120 * SECOND };
    await providerNamed(env, SIMULATOR).settle({ model: "m", tokens: 0, limited: true, learned });
    await park(1, "low", 295);
    expect(await check()).toBe("ok");
    expect(await scraped()).toMatchObject({ "provider_blocked_seconds simulator": 120 });
    passTime(6 * SECOND);
    expect(await check()).toBe("the oldest of 1 parked jobs has waited for 301 s, more than 300 s");
  });
});

describe("a provider whose object does not answer", () => {
  it("is told as unknown, and fails nothing", async () => {
    stateComesTo(() => Promise.reject(new Error("overloaded")));
    expect(await scraped()).toEqual({ "health_ok provider_simulator": 0 });
    expect(await parkedByQueue()).toMatchObject({ "jobs-high": null, webhooks: 0 });
    expect(await check()).toBe("unreachable");
  });

  it("is waited for no longer than two seconds", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: Date.now() });
    stateComesTo(() => new Promise(() => {}));
    const checks = checkHealth(env, configOf(env));
    await vi.advanceTimersByTimeAsync(1_999);
    expect(await Promise.race([checks, Promise.resolve("still waiting")])).toBe("still waiting");
    await vi.advanceTimersByTimeAsync(1);
    expect(await checks).toMatchObject({ provider_simulator: "unreachable" });
  });
});
