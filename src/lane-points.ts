import { LANES } from "./domain/lane.ts";
import { lanePoint, type LaneReport } from "./domain/point.ts";
import { parkedOf } from "./domain/stats-view.ts";
import { readAll } from "./health.ts";
import { readTotal } from "./ledgers/stats-stub.ts";
import { logFault } from "./log.ts";
import { configOf } from "./settings/config.ts";

/** A deployment may leave the binding out (wrangler.toml). */
type Bindings = Omit<Env, "METRICS"> & { METRICS?: AnalyticsEngineDataset };

/** Writes how each lane stands, which is no fact of any job. Never rejects: the next minute has the next point. */
export async function writeLanePoints(env: Bindings & Env): Promise<void> {
  const { METRICS }: Bindings = env;
  if (METRICS === undefined) return;
  try {
    for (const report of await laneReports(env)) METRICS.writeDataPoint(lanePoint(report));
  } catch (error) {
    logFault("analytics.unwritten", { queue: "jobs" }, error);
  }
}

async function laneReports(env: Env): Promise<LaneReport[]> {
  const [{ active, missing }, { queues, providers }] = await Promise.all([
    readTotal(env),
    readAll(env, configOf(env)),
  ]);
  return LANES.map((lane) => {
    const name = `jobs-${lane}`;
    const backlog = queues.find(({ queue }) => queue === name)?.backlog;
    return {
      lane,
      depth: backlog?.messages ?? null,
      active: missing > 0 ? null : active[lane],
      parked: parkedOf(name, providers),
    };
  });
}
