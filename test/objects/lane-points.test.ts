import {
  createExecutionContext,
  createScheduledController,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";

import worker from "../../src/index.ts";
import { readTotal } from "../../src/ledgers/stats-stub.ts";
import { holdQueues, leased, logged, submitted } from "./support.ts";

holdQueues({ ledgersToo: false });

const LANES = ["high", "normal", "low", "long"];

function writeDataPoint(): void {
  throw new TypeError("too many points");
}

/** What the minute's work of this Worker writes. */
async function pointsOf(metrics: Pick<AnalyticsEngineDataset, "writeDataPoint">): Promise<void> {
  const ctx = createExecutionContext();
  worker.scheduled(createScheduledController(), { ...env, METRICS: metrics }, ctx);
  await waitOnExecutionContext(ctx);
}

it("each lane writes a point once a minute: its depth, what is active in it, what is parked", async () => {
  await leased(await submitted());
  await vi.waitUntil(async () => (await readTotal(env)).active.normal > 0, { timeout: 10_000 });
  const points: AnalyticsEngineDataPoint[] = [];
  await pointsOf({ writeDataPoint: (point = {}) => void points.push(point) });
  const about = points.map(({ indexes, blobs }) => [indexes?.[0], blobs?.[0], blobs?.[5]]);
  expect(about).toEqual(LANES.map((lane) => ["(lanes)", "lane", lane]));
  const [depth, active, parked] = points[1]?.doubles?.slice(8) ?? [];
  expect(depth).toBeGreaterThanOrEqual(0);
  expect(active).toBeGreaterThanOrEqual(1);
  expect(parked).toBe(0);
});

it("points of lanes that cannot be written are told of by the error's name, and no more", async () => {
  await expect(pointsOf({ writeDataPoint })).resolves.toBeUndefined();
  const lines = logged.filter((line) => line.includes("analytics.unwritten"));
  expect(lines).toEqual([
    JSON.stringify({ event: "analytics.unwritten", queue: "jobs", error: "TypeError" }),
  ]);
});
