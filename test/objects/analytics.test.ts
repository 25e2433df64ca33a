import { env } from "cloudflare:workers";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";

import { writePoint } from "../../src/job/analytics.ts";
import type { Job } from "../../src/domain/job.ts";
import {
  ANSWER,
  COST,
  holdClock,
  job,
  leased,
  logged,
  OUTAGE,
  partOf,
  passTime,
  REPORT,
  submitted,
  view,
} from "./support.ts";

holdClock();

const points: AnalyticsEngineDataPoint[] = [];
let broken = false;
function write(point: AnalyticsEngineDataPoint): void {
  if (broken) throw new TypeError("too many points");
  points.push(point);
}
beforeAll(() => {
  // All objects share this very binding object.
  Object.defineProperty(env.METRICS, "writeDataPoint", { value: write, configurable: true });
});
beforeEach(() => points.splice(0));
afterAll(() => Reflect.deleteProperty(env.METRICS, "writeDataPoint"));

/** An attempt that fails, one that answers. */
async function life(): Promise<string> {
  const name = await submitted({ tenant: "globex" });
  const first = await leased(name);
  await job(name).fail(first.token, OUTAGE, REPORT);
  passTime(20_000);
  const second = await leased(name);
  await job(name).append(second.token, partOf(0, "Rayleigh"));
  await job(name).complete(second.token, partOf(1, " scattering"), ANSWER, REPORT);
  return name;
}

it("a job writes a point for each start, retry and end, and none for its text", async () => {
  await life();
  expect(points.map(({ indexes, blobs }) => [indexes?.[0], blobs?.[0], blobs?.[4]])).toEqual([
    ["globex", "started", ""],
    ["globex", "retried", OUTAGE.code],
    ["globex", "started", ""],
    ["globex", "ended", ""],
  ]);
  expect(points.at(-1)?.doubles?.slice(3)).toEqual([18, 180, COST, COST, 2]);
});

it("a point that cannot be written fails no job, and is told of by the error's name", async () => {
  broken = true;
  const name = await life();
  broken = false;
  expect(points).toEqual([]);
  expect((await view(name)).status).toBe("completed");
  const told = logged.filter((line) => line.includes("analytics.unwritten"));
  expect(told.length).toBe(4);
  for (const line of told) expect(line).not.toContain("too many points");
});

it("a deployment without the binding writes none", () => {
  const fact = { type: "retried", job: "name", errorCode: "timeout" } as const;
  expect(() => writePoint({}, {} as Job, fact)).not.toThrow();
});
