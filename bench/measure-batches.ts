import { setTimeout as sleep } from "node:timers/promises";

import { batchName } from "../src/ids.ts";
import { sum, type Bill } from "./bill.ts";
import { Client } from "./client.ts";
import { median, rounded, scaled, table, type Samples } from "./figures.ts";
import { runJobs } from "./measure-throughput.ts";
import { promptFor } from "./prompt.ts";

export const BATCHES_TITLE = "Batches";

const ITEMS = scaled(1_000, 50);
const IN_FLIGHT = 50;
const MODELS = [0, 200];
const SIZES = [1, 10, ITEMS];
const ASKED = scaled(20, 3);

/** A prompt of usual length, as the submissions of single jobs have it. */
const PROMPT = "Why is the sky blue? ".repeat(10);

/** One round: what a batch costs who submits it and who looks at it, and how long its items take. */
export async function measureBatches(url: string, samples: Samples): Promise<void> {
  using client = new Client(url);
  await measureSubmissions(client, samples);
  for (const first of MODELS) {
    const name = `model of ${first} ms`;
    const prompts = Array.from({ length: ITEMS }, () => promptFor({ tokens: 20, first }));
    const startedAt = performance.now();
    const { batch_id } = await client.submitBatch({ prompts });
    await done(client, batch_id, ITEMS);
    const ms = performance.now() - startedAt;
    samples.add(`${name} seconds`, ms / 1_000);
    samples.add(`${name} rate`, (ITEMS * 1_000) / ms);
    const aloneAt = performance.now();
    await runJobs(url, ITEMS, { tokens: 20, first });
    samples.add(`${name} single`, (performance.now() - aloneAt) / 1_000);
    samples.add(`${name} ratio`, ms / (performance.now() - aloneAt));
  }
}

/** One after another, each when the work that the one before has made is done. */
async function measureSubmissions(client: Client, samples: Samples): Promise<void> {
  const alone = await p50(() => client.submit({ prompt: PROMPT, delay_seconds: 86_400 }));
  samples.add("job 202", alone);
  for (const size of SIZES) {
    const requests = Array.from({ length: size }, () => ({
      prompt: PROMPT,
      delay_seconds: 86_400,
    }));
    let id = "";
    const submitted = async () => {
      ({ batch_id: id } = await client.submitBatch({ requests }));
    };
    // Cancelled before most of its jobs are made, so that the next one finds nobody at work.
    const latency = await p50(submitted, () => cancelled(client, id));
    samples.add(`${size} 202`, latency);
    samples.add(`${size} 202 ratio`, latency / alone);
    samples.add(`${size} status`, await p50(() => client.readBatch(id)));
  }
}

/** `after`: what is done between one and the next, and not measured. */
async function p50(
  ask: () => Promise<unknown>,
  after: () => Promise<unknown> = () => Promise.resolve(),
): Promise<number> {
  const latencies: number[] = [];
  for (let time = 0; time < ASKED; time++) {
    const askedAt = performance.now();
    await ask();
    latencies.push(performance.now() - askedAt);
    await after();
  }
  return median(latencies);
}

async function cancelled(client: Client, id: string): Promise<void> {
  await client.ask({ method: "POST", path: `/api/batches/${id}/cancel`, body: "{}" }, 200);
  while (!(await client.readBatch(id)).is_complete) await sleep(50);
}

async function done(client: Client, id: string, items: number): Promise<void> {
  for (;;) {
    const { is_complete, status_counts } = await client.readBatch(id);
    if (is_complete && status_counts.completed !== items) throw new Error(`${id} went wrong`);
    if (is_complete) return;
    await sleep(50);
  }
}

/** What a batch's object does for its items, as `counted-worker.ts` counts it. */
export async function measureBatchCost(url: string): Promise<Bill> {
  using client = new Client(url);
  const prompts = Array.from({ length: ITEMS }, () => promptFor({ tokens: 20, first: 200 }));
  const { batch_id } = await client.submitBatch({ prompts });
  await done(client, batch_id, ITEMS);
  const name = await batchName("dev", batch_id);
  return JSON.parse(await client.ask({ path: `/api/bill?batch=${name}` }, 200)) as Bill;
}

export function batchTables(samples: Samples, bill: Bill): string[] {
  return [
    table(
      ["Submission", "202, ms", "÷ a single job's", "status call, ms"],
      [
        ["single job", samples.show("job 202"), "1", "–"],
        ...SIZES.map((size) => [
          `batch of ${size}`,
          samples.show(`${size} 202`),
          samples.show(`${size} 202 ratio`),
          samples.show(`${size} status`),
        ]),
      ],
    ),
    table(
      [
        `${ITEMS} items, accepted → all done`,
        "seconds",
        "items per second",
        "ideal s",
        "as single jobs, s",
      ],
      MODELS.map((first) => {
        const name = `model of ${first} ms`;
        const ideal = (ITEMS * first) / IN_FLIGHT / 1_000;
        return [
          name,
          samples.show(`${name} seconds`),
          samples.show(`${name} rate`),
          first === 0 ? "–" : String(ideal),
          samples.show(`${name} single`),
        ];
      }),
    ),
    table(
      [`A batch's object, ${ITEMS} items`, "in all", "for an item", "namely"],
      [
        row("calls", bill.calls),
        row("rows written", bill.writes),
        ["kB kept", rounded(bill.bytes / 1e3), rounded(bill.bytes / 1e3 / ITEMS), ""],
      ],
    ),
  ];
}

function row(name: string, counts: Record<string, number>): string[] {
  const namely = Object.entries(counts).map(([what, count]) => `${what} ${count}`);
  return [name, rounded(sum(counts)), rounded(sum(counts) / ITEMS), namely.join(", ")];
}
