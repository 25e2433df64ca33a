import { Client, micros, stampsIn } from "./client.ts";
import { percentile, scaled, table, type Samples } from "./figures.ts";
import { promptFor } from "./prompt.ts";

/** The first token waits until a thousand readers have attached. */
const STREAM = { tokens: scaled(200, 20), every: 20, first: 20_000 };
const LEVELS = [1, scaled(100, 5), scaled(1_000, 10)];

/** One round: a job for each number of readers, all of whom see it from its first token to its end. */
export async function measureSubscribers(url: string, samples: Samples): Promise<void> {
  for (const readers of LEVELS) {
    using client = new Client(url);
    const id = await client.submit({ prompt: promptFor(STREAM) });
    const done = Array.from({ length: readers }, () => lastSteps(client, id));
    const steps = await Promise.all(done);
    const sentAt = Math.max(...steps.map(({ lastToken }) => lastToken));
    const times = steps.map(({ completedAt }) => (completedAt - sentAt) / 1_000);
    const late = steps.filter(({ attachedAt, firstToken }) => attachedAt > firstToken);
    if (late.length > 0) throw new Error(`${late.length} readers attached late`);
    samples.add(`${readers} p50`, percentile(times, 0.5));
    samples.add(`${readers} all`, Math.max(...times));
  }
}

async function lastSteps(client: Client, id: string) {
  const stamps: number[] = [];
  let [attachedAt, completedAt] = [0, 0];
  await client.follow(id, (event, at) => {
    attachedAt ||= at;
    if (event.type === "delta") stamps.push(...stampsIn(event.delta));
    if (event.type === "completed") completedAt = at;
  });
  if (stamps.length !== STREAM.tokens) throw new Error(`a reader saw ${stamps.length} tokens`);
  return {
    attachedAt,
    completedAt,
    firstToken: stamps[0] ?? micros(),
    lastToken: stamps.at(-1) ?? micros(),
  };
}

export function subscribersTable(samples: Samples): string {
  return table(
    ["SSE readers of one job", "half have the end after ms", "all have the end after ms"],
    LEVELS.map((readers) => [
      String(readers),
      samples.show(`${readers} p50`),
      samples.show(`${readers} all`),
    ]),
  );
}
