import { Client } from "./client.ts";
import { scaled, table, type Samples } from "./figures.ts";
import { inParallel } from "./load.ts";
import { promptFor } from "./prompt.ts";

const IN_FLIGHT = 50;
const MODEL_MS = 200;

const MODELS = [
  { name: `model of ${MODEL_MS} ms`, jobs: scaled(1_000, IN_FLIGHT), first: MODEL_MS },
  { name: "immediate model", jobs: scaled(300, IN_FLIGHT), first: 0 },
];

/** One round of jobs by both models. */
export async function measureThroughput(url: string, samples: Samples): Promise<void> {
  for (const { name, jobs, first } of MODELS) {
    const startedAt = performance.now();
    await runJobs(url, jobs, { tokens: 20, first });
    const ms = performance.now() - startedAt;
    samples.add(`${name} seconds`, ms / 1_000);
    samples.add(`${name} rate`, (jobs * 1_000) / ms);
    if (first > 0) samples.add(`${name} ratio`, ms / ((jobs * first) / IN_FLIGHT));
  }
}

/** Keeps `IN_FLIGHT` jobs going: each is submitted, followed by SSE to its end, and the next one begun. */
export async function runJobs(
  url: string,
  jobs: number,
  answer: { tokens: number; first?: number },
): Promise<void> {
  using client = new Client(url);
  const job = { prompt: promptFor(answer) };
  await inParallel(IN_FLIGHT, jobs, async () => client.follow(await client.submit(job)));
}

export function throughputTable(samples: Samples): string {
  return table(
    [`${IN_FLIGHT} jobs in flight`, "jobs", "seconds", "jobs per second", "ideal s", "÷ ideal"],
    MODELS.map(({ name, jobs, first }) => [
      name,
      String(jobs),
      samples.show(`${name} seconds`),
      samples.show(`${name} rate`),
      first === 0 ? "–" : String((jobs * first) / IN_FLIGHT / 1_000),
      first === 0 ? "–" : samples.show(`${name} ratio`),
    ]),
  );
}

/** A row for each model, whose cells `cells` gives. */
export function perModel(cells: (name: string) => string[]): string[][] {
  return MODELS.map(({ name }) => [name].concat(cells(name)));
}
