/** What a budget is for, in UTC. */
export type Period = "day" | "month";

/** Instants are epoch milliseconds; `end` is the next one's start. */
export type Span = { start: number; end: number };

export const DAY_MS = 86_400_000;

export function startOfDay(instant: number): number {
  return instant - (instant % DAY_MS);
}

/** The day or the month that holds this instant. */
export function spanOf(period: Period, instant: number): Span {
  if (period === "day") {
    const start = startOfDay(instant);
    return { start, end: start + DAY_MS };
  }
  const date = new Date(instant);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  return { start: Date.UTC(year, month, 1), end: Date.UTC(year, month + 1, 1) };
}
