import { addActive, countActive, type ActiveByLane } from "../domain/active.ts";
import { merge, NOTHING, type StatsFact, type Tallied } from "../domain/stats.ts";
import type { Window } from "../domain/window.ts";
import { logFault } from "../log.ts";
import { within } from "../within.ts";
import type { StatsRpc } from "./stats-rpc.ts";

/** Objects that share the work: each bears some hundred calls a second (platform limit). */
export const SHARDS = 8;

/** How long a shard may take, in milliseconds: to hear a fact, for the one who tells is kept awake, and to add up a day. */
const NOTE_WITHIN_MS = 2_000;
const COUNT_WITHIN_MS = 5_000;

/** What all shards together have counted. `missing`: how many of them did not say. */
export type Stats = { tallied: Tallied; active: ActiveByLane; missing: number };

/** Tells the statistics about a job. Never rejects, and nothing may wait for it: what is not heard is not counted. */
export async function tellStats(env: Env, fact: StatsFact): Promise<void> {
  try {
    await within(NOTE_WITHIN_MS, shard(env, statsShardOf(fact.job)).note(fact));
  } catch (error) {
    logFault("stats.untold", { object: fact.job }, error);
  }
}

/** Asks all shards. Never rejects. */
export async function readStats(env: Env, window: Window): Promise<Stats> {
  const asked = Array.from({ length: SHARDS }, (_, at) =>
    within(COUNT_WITHIN_MS, shard(env, at).count(window)),
  );
  const sum: Stats = { tallied: NOTHING, active: countActive([], 0), missing: 0 };
  for (const answer of await Promise.allSettled(asked)) {
    if (answer.status === "rejected") {
      sum.missing += 1;
      continue;
    }
    sum.tallied = merge(sum.tallied, { ...NOTHING, ...answer.value.tallied });
    sum.active = addActive(sum.active, answer.value.active);
  }
  return sum;
}

function shard(env: Env, at: number): StatsRpc {
  return env.STATS.getByName(`stats-${at}`);
}

/** FNV-1a: jobs are spread evenly, and each always goes the same way. */
export function statsShardOf(job: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < job.length; at++) {
    hash = Math.imul(hash ^ job.charCodeAt(at), 0x01000193);
  }
  return (hash >>> 0) % SHARDS;
}
