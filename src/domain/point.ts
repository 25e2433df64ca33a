import { modelOf, providerOf } from "./course.ts";
import type { Job } from "./job.ts";
import type { Lane } from "./lane.ts";
import type { StatsFact } from "./stats.ts";

/** A data point as Analytics Engine takes it: one index, blobs and doubles by their places. */
export type Point = { indexes: [string]; blobs: string[]; doubles: number[] };

/** The longest index in bytes of UTF-8 (platform limit). */
const MAX_INDEX_BYTES = 96;

/** For a span that was not measured: a double cannot be absent, and 0 would be the best of all. */
const UNMEASURED = -1;

/**
 * What is written of a fact about a job, if anything. The places are for ever: what was written is read by them
 * (docs/metrics.md). A new value takes the next place that is free.
 */
export function pointOf(job: Job, fact: StatsFact): Point | null {
  if (fact.type === "undelivered") return null;
  const { spec } = job;
  const end = fact.type === "ended" ? fact : null;
  const errorCode = fact.type === "started" ? null : fact.errorCode;
  return {
    indexes: [cut(spec.tenant)],
    blobs: [
      fact.type,
      modelOf(spec),
      end?.provider ?? providerOf(job),
      end?.status ?? "",
      errorCode ?? "",
      spec.lane,
    ],
    doubles: [
      (fact.type === "started" ? fact.queueMs : null) ?? UNMEASURED,
      end?.ttftMs ?? UNMEASURED,
      end?.totalMs ?? UNMEASURED,
      end?.promptTokens ?? 0,
      end?.completionTokens ?? 0,
      end?.costUsd ?? 0,
      end?.wastedCostUsd ?? 0,
      job.attempts.length,
    ],
  };
}

/** What all points of lanes are found by. No tenant is called so. */
const LANES_INDEX = "(lanes)";

/** How a lane stands: messages in its queue, jobs with an attempt under way, jobs parked at providers. Null: nobody said. */
export type LaneReport = {
  lane: Lane;
  depth: number | null;
  active: number | null;
  parked: number | null;
};

/** What is written of a lane once a minute: in the places of a job's point what they both have, and its own behind them. */
export function lanePoint({ lane, depth, active, parked }: LaneReport): Point {
  const ofJobs = [UNMEASURED, UNMEASURED, UNMEASURED, 0, 0, 0, 0, 0];
  const own = [depth, active, parked].map((count) => count ?? UNMEASURED);
  return {
    indexes: [LANES_INDEX],
    blobs: ["lane", "", "", "", "", lane],
    doubles: [...ofJobs, ...own],
  };
}

/** As much of a name as an index holds, in whole characters. */
function cut(name: string): string {
  const { read } = new TextEncoder().encodeInto(name, new Uint8Array(MAX_INDEX_BYTES));
  return name.slice(0, read);
}
