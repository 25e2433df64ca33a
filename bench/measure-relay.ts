import { callDirectly, Client, micros, stampsIn } from "./client.ts";
import { percentile, scaled, table, type Samples } from "./figures.ts";
import { Connections } from "./load.ts";
import { promptFor } from "./prompt.ts";

const STREAM = { tokens: scaled(200, 20), every: 20 };
const PROMPT_REPLY = { tokens: 5, first: 50 };
const CALLS = scaled(20, 3);

/** Names of figures that the direct call has none of: they compare with it. */
const COMPARED = / (ratio|added)$/;

/** Shown beside the direct call's of the same round. */
const RATIOS = ["delay p50", "delay p99", "ttft p50", "ttft p99"] as const;

/** Follows one answer; `onText` is given its text as it comes. */
type Read = (prompt: string, onText: (text: string, at: number) => void) => Promise<void>;

/** One round: the model asked directly. */
export async function measureDirect(provider: string, samples: Samples): Promise<void> {
  using connections = new Connections(provider);
  await measure("direct", (prompt, onText) => callDirectly(connections, prompt, onText), samples);
}

/** One round: the model asked through a job, whose reader attaches as soon as it is accepted. */
export async function measureRelay(name: string, url: string, samples: Samples): Promise<void> {
  using client = new Client(url);
  const read: Read = async (prompt, onText) => {
    await client.follow(await client.submit({ prompt }), (event, at) => {
      if (event.type === "delta") onText(event.delta, at);
    });
  };
  await measure(name, read, samples);
  // In every round the direct calls come first.
  const last = (who: string, figure: string) => samples.of(`${who} ${figure}`).at(-1) ?? NaN;
  samples.add(`${name} ttft added`, last(name, "ttft p50") - last("direct", "ttft p50"));
  for (const figure of RATIOS) {
    samples.add(`${name} ${figure} ratio`, last(name, figure) / last("direct", figure));
  }
}

async function measure(name: string, read: Read, samples: Samples): Promise<void> {
  const firsts: number[] = [];
  for (let call = 0; call < CALLS; call++) firsts.push(await firstTokenMs(read));
  samples.add(`${name} ttft p50`, percentile(firsts, 0.5));
  samples.add(`${name} ttft p99`, percentile(firsts, 0.99));
  const delays: number[] = [];
  await read(promptFor(STREAM), (text, at) => {
    delays.push(...stampsIn(text).map((sentAt) => (at - sentAt) / 1_000));
  });
  if (delays.length !== STREAM.tokens) throw new Error(`${delays.length} tokens came`);
  samples.add(`${name} delay p50`, percentile(delays, 0.5));
  samples.add(`${name} delay p99`, percentile(delays, 0.99));
}

async function firstTokenMs(read: Read): Promise<number> {
  const askedAt = micros();
  let firstAt: number | undefined;
  await read(promptFor(PROMPT_REPLY), (_, at) => (firstAt ??= at));
  if (firstAt === undefined) throw new Error("no token came");
  return (firstAt - askedAt) / 1_000;
}

export function relayTables(names: string[], samples: Samples): string[] {
  return [
    table(
      ["Reader", "delay p50 ms", "÷ direct", "delay p99 ms", "÷ direct"],
      rows(names, samples, ["delay p50", "delay p50 ratio", "delay p99", "delay p99 ratio"]),
    ),
    table(
      [
        "Reader",
        "first token p50 ms",
        "added p50 ms",
        "÷ direct",
        "first token p99 ms",
        "÷ direct",
      ],
      rows(names, samples, [
        "ttft p50",
        "ttft added",
        "ttft p50 ratio",
        "ttft p99",
        "ttft p99 ratio",
      ]),
    ),
  ];
}

function rows(names: string[], samples: Samples, figures: string[]): string[][] {
  return [
    ["of the provider itself"].concat(
      figures.map((figure) => (COMPARED.test(figure) ? "–" : samples.show(`direct ${figure}`))),
    ),
    ...names.map((name) =>
      [name].concat(figures.map((figure) => samples.show(`${name} ${figure}`))),
    ),
  ];
}
