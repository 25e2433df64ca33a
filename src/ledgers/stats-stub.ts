import { addActive, countActive, type ActiveByLane } from "../domain/active.ts";
import { mergeEver, NEVER, type Ever } from "../domain/ever.ts";
import { merge, NOTHING, wholeOf, type StatsFact, type Tallied } from "../domain/stats.ts";
import type { Window } from "../domain/window.ts";
import { logFault } from "../log.ts";
import { within } from "../within.ts";
import type { StatsRpc } from "./stats-rpc.ts";

/** Objects that share the work: each bears some hundred calls a second (platform limit). */
export const SHARDS = 8;

/** How long a shard may take, in milliseconds: to hear a fact, for the one who tells is kept awake, and to add up a day. */
const NOTE_WITHIN_MS = 2_000;
const COUNT_WITHIN_MS = 5_000;
const TOTAL_WITHIN_MS = 2_000;

/** What all shards together have counted. `missing`: how many of them did not say. */
export type Stats = { tallied: Tallied; active: ActiveByLane; missing: number };

/** What all shards together have counted since they began, and how many of them did not say. */
export type StatsTotal = { ever: Ever; active: ActiveByLane; missing: number };

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
  const { answers, missing } = await askAll(env, COUNT_WITHIN_MS, (shard) => shard.count(window));
  const sum: Stats = { tallied: NOTHING, active: countActive([], 0), missing };
  for (const { tallied, active } of answers) {
    sum.tallied = merge(sum.tallied, wholeOf(tallied));
    sum.active = addActive(sum.active, active);
  }
  return sum;
}

/** Asks all shards. Never rejects. */
export async function readTotal(env: Env): Promise<StatsTotal> {
  const { answers, missing } = await askAll(env, TOTAL_WITHIN_MS, (shard) => shard.total());
  const sum: StatsTotal = { ever: NEVER, active: countActive([], 0), missing };
  for (const { ever, active } of answers) {
    sum.ever = mergeEver(sum.ever, ever);
    sum.active = addActive(sum.active, active);
  }
  return sum;
}

/** Asks all shards at once. Never rejects: `missing` did not answer in time. */
async function askAll<T>(
  env: Env,
  limitMs: number,
  ask: (shard: StatsRpc) => Promise<T>,
): Promise<{ answers: T[]; missing: number }> {
  const asked = Array.from({ length: SHARDS }, (_, at) => within(limitMs, ask(shard(env, at))));
  const settled = await Promise.allSettled(asked);
  const answers = settled.flatMap((answer) =>
    answer.status === "fulfilled" ? [answer.value] : [],
  );
  return { answers, missing: SHARDS - answers.length };
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
