/** Counts are kept by the minute for an hour and by the hour for a day. */
export type Unit = "minute" | "hour";

export const UNIT_MS: Record<Unit, number> = { minute: 60_000, hour: 3_600_000 };

/** How many whole units are kept besides the one that runs. */
const UNITS_KEPT: Record<Unit, number> = { minute: 60, hour: 24 };

/** A span of time up to now, in whole units. `since`: epoch milliseconds at which a unit begins. */
export type Window = { unit: Unit; since: number };

/** The shortest window in whole units that holds the last `seconds`: up to an hour in minutes, up to a day in hours. */
export function windowOf(seconds: number, now: number): Window {
  const unit = seconds * 1_000 <= UNIT_MS.hour ? "minute" : "hour";
  return { unit, since: startOf(unit, now - seconds * 1_000) };
}

/** When the unit that holds `instant` begins. */
export function startOf(unit: Unit, instant: number): number {
  return instant - (instant % UNIT_MS[unit]);
}

/** When the oldest unit begins that any window at `now` can hold. */
export function keptSince(unit: Unit, now: number): number {
  return startOf(unit, now) - UNITS_KEPT[unit] * UNIT_MS[unit];
}
