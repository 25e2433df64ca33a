/**
 * Money is counted in whole billionths of a dollar: sums of them are the same in whatever order they are made, and nine
 * million dollars are still exact.
 */
const NANO = 1_000_000_000;

/** The nearest. */
export function nanoOf(dollars: number): number {
  return Math.round(dollars * NANO);
}

export function dollars(nano: number): number {
  return nano / NANO;
}
