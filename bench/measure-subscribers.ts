import { callDirectly, Client, micros, stampsIn } from "./client.ts";
import { percentile, scaled, table, type Samples } from "./figures.ts";
import { Connections } from "./load.ts";
import { promptFor } from "./prompt.ts";

const STREAM = { tokens: scaled(200, 20), every: 20 };
/** The first token waits until a thousand readers have attached, or as many calls were made. */
const FIRST_MS = { job: 20_000, direct: 5_000 };
const LEVELS = [1, scaled(100, 5), scaled(1_000, 10)];

/** When the tokens that a reader has seen were sent, and when it had the end. Microseconds. */
type Seen = { stamps: number[]; endAt: number };

/** Milliseconds: from the last token to half the readers' and to all readers' end; from the first token to all. */
const FIGURES = ["half", "all", "whole"] as const;

/**
 * One round: for each number of readers as many calls of the model, each reader's own; then one job, which all of them
 * see from its first token to its end.
 */
export async function measureSubscribers(
  provider: string,
  url: string,
  samples: Samples,
): Promise<void> {
  for (const readers of LEVELS) {
    const direct = figuresOf(await callAll(provider, readers));
    const job = figuresOf(await followAll(url, readers));
    for (const figure of FIGURES) {
      samples.add(`${readers} direct ${figure}`, direct[figure]);
      samples.add(`${readers} job ${figure}`, job[figure]);
      samples.add(`${readers} ratio ${figure}`, job[figure] / direct[figure]);
    }
  }
}

async function callAll(provider: string, readers: number): Promise<Seen[]> {
  using connections = new Connections(provider);
  const prompt = promptFor({ ...STREAM, first: FIRST_MS.direct });
  const calls = await together(readers, async () => {
    const stamps: number[] = [];
    await callDirectly(connections, prompt, (text) => stamps.push(...stampsIn(text)));
    return { stamps, endAt: micros() };
  });
  const latestFirst = Math.max(...calls.map(({ stamps }) => stamps[0] ?? Infinity));
  const earliestLast = Math.min(...calls.map(({ stamps }) => stamps.at(-1) ?? 0));
  if (latestFirst > earliestLast) throw new Error("the calls did not run side by side");
  return calls;
}

async function followAll(url: string, readers: number): Promise<Seen[]> {
  using client = new Client(url);
  const id = await client.submit({ prompt: promptFor({ ...STREAM, first: FIRST_MS.job }) });
  return await together(readers, async () => {
    const stamps: number[] = [];
    let [attachedAt, endAt] = [0, 0];
    await client.follow(id, (event, at) => {
      attachedAt ||= at;
      if (event.type === "delta") stamps.push(...stampsIn(event.delta));
      if (event.type === "completed") endAt = at;
    });
    if (attachedAt > (stamps[0] ?? 0)) throw new Error("a reader attached late");
    return { stamps, endAt };
  });
}

/** What so many readers have seen, all of whom begin at once. */
async function together(readers: number, read: () => Promise<Seen>): Promise<Seen[]> {
  const all = await Promise.all(Array.from({ length: readers }, read));
  for (const { stamps } of all) {
    if (stamps.length !== STREAM.tokens) throw new Error(`a reader saw ${stamps.length} tokens`);
  }
  return all;
}

function figuresOf(all: Seen[]): Record<(typeof FIGURES)[number], number> {
  const ends = all.map(({ stamps, endAt }) => (endAt - (stamps.at(-1) ?? 0)) / 1_000);
  const wholes = all.map(({ stamps, endAt }) => (endAt - (stamps[0] ?? 0)) / 1_000);
  return { half: percentile(ends, 0.5), all: Math.max(...ends), whole: Math.max(...wholes) };
}

export function subscribersTable(samples: Samples): string {
  const rows = LEVELS.flatMap((readers) => [
    { readers, who: "direct", name: "each by a call of the model" },
    { readers, who: "job", name: "by SSE of one job" },
  ]);
  return table(
    [
      "Readers",
      "of",
      "half have the end after ms",
      "all have it after ms",
      "÷ direct",
      "first token to all have the end, ms",
      "÷ direct",
    ],
    rows.map(({ readers, who, name }) => {
      const shown = (figure: string) => samples.show(`${readers} ${who} ${figure}`);
      const ratio = (figure: string) =>
        who === "direct" ? "–" : samples.show(`${readers} ratio ${figure}`);
      const figures = [shown("half"), shown("all"), ratio("all"), shown("whole"), ratio("whole")];
      return [readers.toLocaleString("en-US"), name].concat(figures);
    }),
  );
}
