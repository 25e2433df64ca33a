/** How often everything is measured, and by what all amounts are multiplied (below 1: for a quick look only). */
export const ROUNDS = setting("BENCH_ROUNDS", 5);
export const SCALE = setting("BENCH_SCALE", 1);

function setting(name: string, fallback: number): number {
  const value = Number(process.env[name] ?? fallback);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0`);
  return value;
}

export function scaled(amount: number, least = 1): number {
  return Math.max(least, Math.round(amount * SCALE));
}

export function* rounds(subject: string): Iterable<number> {
  for (let round = 1; round <= ROUNDS; round++) {
    note(`${subject}: round ${round} of ${ROUNDS}`);
    yield round;
  }
}

/** Progress, for people; the figures alone go to stdout. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** The smallest value that at least `share` of all values do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (value === undefined) throw new Error("nothing was measured");
  return value;
}

export function median(values: readonly number[]): number {
  return (percentile(values, 0.5) + percentile(values, 0.5 + 0.5 / values.length)) / 2;
}

/** What was measured, by name: one value from each round. */
export class Samples {
  readonly #values = new Map<string, number[]>();

  add(name: string, value: number): void {
    this.#values.set(name, [...(this.#values.get(name) ?? []), value]);
  }

  get empty(): boolean {
    return this.#values.size === 0;
  }

  of(name: string): number[] {
    const values = this.#values.get(name);
    if (values === undefined) throw new Error(`${name} was not measured`);
    return values;
  }

  median(name: string): number {
    return median(this.of(name));
  }

  /** The median and, where the rounds differ, the range. */
  show(name: string): string {
    const values = this.of(name);
    const [least, middle, most] = [Math.min(...values), median(values), Math.max(...values)];
    return least === most
      ? rounded(middle)
      : `${rounded(middle)} (${rounded(least)}–${rounded(most)})`;
  }
}

/** Three digits are as many as a benchmark can tell. */
export function rounded(value: number): string {
  const size = Math.abs(value);
  const digits = Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3;
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

export function table(headings: string[], rows: string[][]): string {
  const rule = headings.map((_, column) => (column === 0 ? "---" : "---:"));
  return [headings, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
