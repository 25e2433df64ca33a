import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "./client.ts";
import { scaled, table, type Samples } from "./figures.ts";
import { inParallel } from "./load.ts";
import { startProduct, workerdMemory, type Server } from "./processes.ts";
import { promptFor } from "./prompt.ts";

const JOBS = scaled(200, 10);
/** Twelve seconds: what would hibernate has done so, and short-lived garbage is gone. */
const SETTLE_MS = scaled(12_000, 1_000);

/** One round, in a product of its own: jobs that stream for as long as it takes; then each gets a reader. */
export async function measureMemory(provider: Server, samples: Samples): Promise<void> {
  await using product = await startProduct(provider);
  using client = new Client(product.url);
  // Code that runs for the first time takes memory of its own.
  await inParallel(16, 50, async () => {
    await client.follow(await client.submit({ prompt: promptFor({ tokens: 20 }) }));
  });
  const idle = await settled(product);
  const ids: string[] = [];
  await inParallel(16, JOBS, async () => {
    ids.push(await client.submit({ prompt: promptFor({ tokens: 3_600, every: 1_000 }) }));
  });
  const unwatched = await settled(product);
  await allStream(client, ids);
  const readers = ids.map((id) => client.open({ path: `/api/jobs/${id}/events` }, 200));
  for (const reader of await Promise.all(readers)) reader.on("error", () => {}).resume();
  const watched = await settled(product);
  await allStream(client, ids);
  samples.add("idle", idle / 1e6);
  samples.add("unwatched", unwatched / 1e6);
  samples.add("watched", watched / 1e6);
  samples.add("per unwatched job", (unwatched - idle) / JOBS / 1e3);
  samples.add("per watched job", (watched - idle) / JOBS / 1e3);
}

/** What a server holds once it has come to rest, in bytes. */
export async function settled({ pid }: Server, memory = workerdMemory): Promise<number> {
  await sleep(SETTLE_MS);
  return memory(pid);
}

async function allStream(client: Client, ids: string[]): Promise<void> {
  await inParallel(16, ids.length, async (at) => {
    const { status } = await client.read(ids[at] ?? "");
    if (status !== "active") throw new Error(`a job that should stream is ${status}`);
  });
}

export function memoryTable(samples: Samples): string {
  return table(
    ["Live jobs", "workerd resident MB", "kB per job"],
    [
      ["0", samples.show("idle"), "–"],
      [`${JOBS}, nobody watching`, samples.show("unwatched"), samples.show("per unwatched job")],
      [`${JOBS}, one SSE reader each`, samples.show("watched"), samples.show("per watched job")],
    ],
  );
}
