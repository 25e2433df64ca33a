import { callDirectly, Client, micros, stampsIn } from "./client.ts";
import { percentile, scaled, table, type Samples } from "./figures.ts";
import { Connections } from "./load.ts";
import { promptFor } from "./prompt.ts";

const STREAM = { tokens: scaled(200, 20), every: 20 };
const PROMPT_REPLY = { tokens: 5, first: 50 };
const CALLS = scaled(20, 3);

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
  const added =
    (samples.of(`${name} ttft p50`).at(-1) ?? 0) - (samples.of("direct ttft p50").at(-1) ?? 0);
  samples.add(`${name} ttft added`, added);
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

export function relayTable(names: string[], samples: Samples): string {
  return table(
    ["Reader", "delay p50 ms", "delay p99 ms", "first token p50 ms", "p99 ms", "added p50 ms"],
    ["direct", ...names].map((name) => [
      name === "direct" ? "of the provider itself" : name,
      samples.show(`${name} delay p50`),
      samples.show(`${name} delay p99`),
      samples.show(`${name} ttft p50`),
      samples.show(`${name} ttft p99`),
      name === "direct" ? "–" : samples.show(`${name} ttft added`),
    ]),
  );
}
