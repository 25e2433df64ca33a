import { LANES, type Lane } from "./lane.ts";

/** A job that was told to have started, and until when that is to be believed. */
export type Active = { lane: Lane; expiresAt: number };

export type ActiveByLane = Record<Lane, number>;

export function countActive(active: Iterable<Active>, now: number): ActiveByLane {
  const counts = Object.fromEntries(LANES.map((lane) => [lane, 0])) as ActiveByLane;
  for (const { lane, expiresAt } of active) if (now < expiresAt) counts[lane] += 1;
  return counts;
}

export function addActive(a: ActiveByLane, b: ActiveByLane): ActiveByLane {
  return Object.fromEntries(LANES.map((lane) => [lane, a[lane] + b[lane]])) as ActiveByLane;
}
