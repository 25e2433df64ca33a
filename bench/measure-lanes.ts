import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "./client.ts";
import { percentile, scaled, table, type Samples } from "./figures.ts";
import { inParallel } from "./load.ts";
import { warmUp } from "./measure-requests.ts";
import { startProduct, type Server } from "./processes.ts";
import { promptFor } from "./prompt.ts";

/** Of requests in a minute, and how long each takes. */
const LIMIT = 600;
const CALL = { tokens: 1, first: 2_000 };
const FLOOD = scaled(600, 120);
const ENTERPRISE = { jobs: scaled(20, 4), everyMs: 500 };
/** How long a flood is looked at, from when all of it is submitted. */
const LOOK_MS = scaled(30_000, 8_000);
const [BEST, MIDDLE, LAST] = [1, 5, 10];
const IN_FLIGHT = 16;

export const LANES_TITLE = "Lanes";

/** One round: enterprise jobs alone, behind a flood of free ones, and free ones beside a flood of enterprise. */
export async function measureLanes(provider: Server, samples: Samples): Promise<void> {
  const vars = { OPENAI_REQUESTS_PER_MINUTE: String(LIMIT) };
  for (const [name, flood] of [["alone", 0] as const, ["behind", FLOOD] as const]) {
    await using product = await startProduct(provider, { vars });
    await warmUp(product.url);
    using client = new Client(product.url);
    await submitAll(client, flood, LAST);
    const waits = await enterpriseWaits(client);
    samples.add(`${name} p50`, percentile(waits, 0.5));
    samples.add(`${name} most`, Math.max(...waits));
  }
  await using product = await startProduct(provider, { vars });
  await warmUp(product.url);
  using client = new Client(product.url);
  const ids = await submitTogether(client, [BEST, MIDDLE, LAST]);
  await sleep(LOOK_MS);
  const started = await Promise.all(ids.map((lane) => startedOf(client, lane)));
  const all = started.reduce((sum, count) => sum + count, 0);
  for (const [at, name] of ["enterprise", "middle", "free"].entries()) {
    samples.add(`${name} share`, (100 * (started[at] ?? 0)) / all);
  }
}

function submitOne(client: Client, priority: number): Promise<string> {
  return client.submit({ prompt: promptFor(CALL), priority });
}

async function submitAll(client: Client, count: number, priority: number): Promise<void> {
  await inParallel(IN_FLIGHT, count, async () => void (await submitOne(client, priority)));
}

/** A flood in each of these lanes, submitted in turns. */
async function submitTogether(client: Client, priorities: number[]): Promise<string[][]> {
  const ids = priorities.map((): string[] => []);
  await inParallel(IN_FLIGHT, FLOOD * priorities.length, async (at) => {
    const lane = at % priorities.length;
    ids[lane]?.push(await submitOne(client, priorities[lane] ?? MIDDLE));
  });
  return ids;
}

/** Milliseconds from each job's submission to its first attempt. */
async function enterpriseWaits(client: Client): Promise<number[]> {
  const waits = Array.from({ length: ENTERPRISE.jobs }, async (_, at) => {
    await sleep(at * ENTERPRISE.everyMs);
    const id = await submitOne(client, BEST);
    await client.follow(id);
    const { timings } = await client.read(id);
    if (typeof timings?.queue_ms !== "number") throw new Error(`job ${id} never started`);
    return timings.queue_ms;
  });
  return Promise.all(waits);
}

async function startedOf(client: Client, ids: string[]): Promise<number> {
  let started = 0;
  await inParallel(IN_FLIGHT, ids.length, async (at) => {
    const { attempts_made } = await client.read(ids[at] ?? "");
    if (attempts_made > 1) throw new Error("an attempt was burnt");
    started += attempts_made;
  });
  return started;
}

export function lanesTables(samples: Samples): string[] {
  return [
    table(
      [`Enterprise jobs, calls of ${CALL.first / 1_000} s, ${LIMIT} a minute`, "p50 ms", "most ms"],
      [
        ["alone", samples.show("alone p50"), samples.show("alone most")],
        [`behind ${FLOOD} free jobs`, samples.show("behind p50"), samples.show("behind most")],
      ],
    ),
    table(
      [`Of the calls while ${FLOOD} jobs wait in each lane`, "%"],
      [
        ["enterprise (high)", samples.show("enterprise share")],
        ["default (normal)", samples.show("middle share")],
        ["free (low)", samples.show("free share")],
      ],
    ),
  ];
}
