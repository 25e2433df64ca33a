import type { Job } from "../domain/job.ts";
import { pointOf } from "../domain/point.ts";
import type { StatsFact } from "../domain/stats.ts";
import { logFault } from "../log.ts";

/** A deployment may leave the binding out (wrangler.toml). */
type Bindings = { METRICS?: Pick<AnalyticsEngineDataset, "writeDataPoint"> };

/** Writes what is to be kept of a fact about a job. Never throws and is not waited for: it costs no job anything. */
export function writePoint({ METRICS }: Bindings, job: Job, fact: StatsFact): void {
  if (METRICS === undefined) return;
  try {
    const point = pointOf(job, fact);
    if (point !== null) METRICS.writeDataPoint(point);
  } catch (error) {
    logFault("analytics.unwritten", { job_id: job.spec.id }, error);
  }
}
