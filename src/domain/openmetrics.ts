/** One series of a metric. */
export type Sample = { labels: Record<string, string>; value: number };

/** How many numbers were `le` at most. */
type Bucket = { le: number; count: number };

type Described = { name: string; unit?: string; help: string };
export type Series = Described & { type: "gauge" | "counter"; samples: Sample[] };
type Spread = Described & { type: "histogram"; buckets: Bucket[]; sum: number; count: number };

/** A metric with its series. `name` ends with the `unit`, if it has one; a counter's without `_total`. */
export type Family = Series | Spread;

export const CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** The families as OpenMetrics text; one without a series is left out. Source: OpenMetrics 1.0. */
export function render(families: readonly Family[]): string {
  const told = families.filter(
    (family) => family.type === "histogram" || family.samples.length > 0,
  );
  return [...told.flatMap(familyLines), "# EOF", ""].join("\n");
}

function familyLines(family: Family): string[] {
  const { name, type, unit, help } = family;
  return [
    `# TYPE ${name} ${type}`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${escaped(help)}`,
    ...sampleLines(family),
  ];
}

function sampleLines(family: Family): string[] {
  const { name } = family;
  switch (family.type) {
    case "gauge":
      return family.samples.map(({ labels, value }) => line(name, labels, value));
    case "counter":
      return family.samples.map(({ labels, value }) => line(`${name}_total`, labels, value));
    case "histogram": {
      const { buckets, sum, count } = family;
      const all = [...buckets, { le: Infinity, count }];
      return [
        ...all.map((bucket) => line(`${name}_bucket`, { le: boundary(bucket.le) }, bucket.count)),
        line(`${name}_count`, {}, count),
        line(`${name}_sum`, {}, sum),
      ];
    }
  }
}

function line(name: string, labels: Record<string, string>, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join()}}`} ${value}`;
}

/** As the format wants a bucket's boundary spelt: everybody's alike, so that they are the same series. */
function boundary(le: number): string {
  if (le === Infinity) return "+Inf";
  return Number.isInteger(le) ? `${le}.0` : `${le}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
