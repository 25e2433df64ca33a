/** A sample as it was read. `name` with its suffix. */
type Read = { name: string; labels: Record<string, string>; value: number };

export type ReadFamily = { type: string; unit: string | null; help: string; samples: Read[] };

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const META = new RegExp(`^# (TYPE|UNIT|HELP) (${NAME}) (.+)$`);
const SAMPLE = new RegExp(String.raw`^(${NAME})(?:\{((?:${LABEL},)*${LABEL})\})? (\S+)$`);
const NUMBER = /^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i;

const SUFFIXES: Record<string, string[]> = {
  gauge: [""],
  counter: ["_total"],
  histogram: ["_bucket", "_count", "_sum"],
};

/** Reads OpenMetrics 1.0 as strictly as it is written, of what we use of it. Throws at the first fault. */
export function readOpenMetrics(text: string): Map<string, ReadFamily> {
  const lines = text.split("\n");
  fault(lines.pop() !== "" || lines.pop() !== "# EOF", "it does not end with # EOF");
  const families = new Map<string, ReadFamily>();
  let name = "";
  for (const line of lines) {
    const [, word, of = "", rest = ""] = META.exec(line) ?? [];
    if (word === "TYPE") {
      fault(families.has(of), `${of} is there twice`);
      fault(!(rest in SUFFIXES), `${rest} is no type`);
      families.set((name = of), { type: rest, unit: null, help: "", samples: [] });
      continue;
    }
    const family = families.get(name);
    if (family === undefined) throw new Error(`outside a family: ${line}`);
    if (word === undefined) family.samples.push(sampleOf(line, name, family));
    else fault(of !== name || family.samples.length > 0, `out of place: ${line}`);
    if (word === "UNIT")
      fault(!name.endsWith(`_${(family.unit = rest)}`), `${name} hides its unit`);
    if (word === "HELP") family.help = rest;
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function sampleOf(line: string, family: string, { type }: ReadFamily): Read {
  const [, name = "", inner = "", value = ""] = SAMPLE.exec(line) ?? [];
  fault(!(SUFFIXES[type] ?? []).some((suffix) => name === family + suffix), `no sample: ${line}`);
  fault(!NUMBER.test(value), `no number: ${line}`);
  const pairs = [...inner.matchAll(new RegExp(LABEL, "g"))].map(([pair]): [string, string] => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), unescaped(pair.slice(at + 2, -1))];
  });
  fault(new Set(pairs.map(([label]) => label)).size < pairs.length, `a label twice: ${line}`);
  return { name, labels: Object.fromEntries(pairs), value: Number(value) };
}

function checkFamily(name: string, { type, help, samples }: ReadFamily): void {
  fault(help === "", `${name} has no help`);
  const series = samples.map(({ name, labels }) => JSON.stringify([name, labels]));
  fault(new Set(series).size < series.length, `${name} has a series twice`);
  fault(type !== "gauge" && samples.some(({ value }) => value < 0), `${name} is negative`);
  if (type !== "histogram") return;
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels: { le = "" } }) => le);
  fault(bounds.at(-1) !== "+Inf", `${name} has no bucket for all`);
  fault(
    bounds.slice(0, -1).some((le) => !/^\d+\.\d+$/.test(le)),
    `${name} misspells a boundary`,
  );
  const limits = bounds.map((le) => (le === "+Inf" ? Infinity : Number(le)));
  fault(!rises(limits) || new Set(limits).size < limits.length, `${name} is out of order`);
  fault(!rises(buckets.map(({ value }) => value)), `${name} is not cumulative`);
  const count = samples.find((sample) => sample.name === `${name}_count`)?.value;
  fault(count !== buckets.at(-1)?.value, `${name} counts otherwise`);
  fault(!samples.some((sample) => sample.name === `${name}_sum`), `${name} has no sum`);
}

function rises(numbers: number[]): boolean {
  return numbers.every((number, at) => number >= (numbers[at - 1] ?? -Infinity));
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(["\\n])/g, (_, char: string) => (char === "n" ? "\n" : char));
}

function fault(wrong: boolean, what: string): void {
  if (wrong) throw new Error(`not OpenMetrics: ${what}`);
}
