import { availableParallelism, cpus, totalmem } from "node:os";
import { resolve } from "node:path";

import { note, rounds, ROUNDS, Samples, SCALE } from "./figures.ts";
import { BACKLOG_TITLE, backlogTables, measureBacklog } from "./measure-backlog.ts";
import { BATCHES_TITLE, batchTables, measureBatchCost, measureBatches } from "./measure-batches.ts";
import { CATCH_UP_VARS, catchUpTable, measureCatchUp } from "./measure-catch-up.ts";
import { costTables, measureCost } from "./measure-cost.ts";
import { LISTING_TITLE, listingTables, measureListing } from "./measure-listing.ts";
import {
  DEAD_LETTERS_TITLE,
  deadLetterTables,
  measureDeadLetters,
} from "./measure-dead-letters.ts";
import { ESTIMATES_TITLE, estimatesTable, measureEstimates } from "./measure-estimates.ts";
import { idleTable, measureIdle } from "./measure-idle.ts";
import { LANES_TITLE, lanesTables, measureLanes } from "./measure-lanes.ts";
import { measureMemory, memoryTable } from "./measure-memory.ts";
import { measureDirect, measureRelay, relayTables } from "./measure-relay.ts";
import { measureRequests, requestTable, warmUp } from "./measure-requests.ts";
import { measureStart, startTable } from "./measure-start.ts";
import { measureSubscribers, subscribersTable } from "./measure-subscribers.ts";
import { measureTenants, tenantsTable } from "./measure-tenants.ts";
import { measureThroughput, throughputTable } from "./measure-throughput.ts";
import { measureWebhooks, webhookTables, WEBHOOKS_TITLE } from "./measure-webhooks.ts";
import { startProduct, startProvider } from "./processes.ts";

process.chdir(resolve(import.meta.dirname, ".."));
await using provider = await startProvider();
const fresh = new Samples();

/** All subjects, in the order in which they are measured; arguments choose some of them. */
const SUBJECTS: Record<string, () => Promise<void>> = {
  requests,
  relay,
  subscribers,
  "catch-up": catchUp,
  memory,
  idle,
  cost,
  listing,
  backlog,
  "dead-letters": deadLetters,
  webhooks,
  lanes,
  batches,
  estimates,
  start,
};

print(machine());
const chosen = process.argv.slice(2);
for (const name of chosen.length === 0 ? Object.keys(SUBJECTS) : chosen) {
  const measure = SUBJECTS[name];
  if (measure === undefined) throw new Error(`no subject is called ${name}`);
  const startedAt = performance.now();
  await measure();
  note(`${name}: ${Math.round((performance.now() - startedAt) / 1_000)} s`);
}

/** A product for each round, so that none has much behind it. */
async function requests(): Promise<void> {
  for (const _ of rounds("requests and throughput")) {
    await using product = await startProduct(provider);
    await warmUp(product.url);
    await measureRequests(product.url, fresh);
    await measureThroughput(product.url, fresh);
  }
  print("## Submit and poll", requestTable(fresh), "## Throughput", throughputTable(fresh));
}

async function relay(): Promise<void> {
  await using joining = await startProduct(provider);
  await using immediate = await startProduct(provider, { vars: { RELAY_JOIN_MS: "0" } });
  const products = [
    { name: "SSE of a job", url: joining.url },
    { name: "the same, RELAY_JOIN_MS=0", url: immediate.url },
  ];
  for (const { url } of products) await warmUp(url);
  const samples = new Samples();
  for (const _ of rounds("relay")) {
    await measureDirect(provider.url, samples);
    for (const { name, url } of products) await measureRelay(name, url, samples);
  }
  print(
    "## Relay of tokens",
    ...relayTables(
      products.map(({ name }) => name),
      samples,
    ),
  );
}

async function subscribers(): Promise<void> {
  await using product = await startProduct(provider);
  await warmUp(product.url);
  const samples = new Samples();
  for (const _ of rounds("subscribers")) {
    await measureSubscribers(provider.url, product.url, samples);
  }
  print("## Readers of one job", subscribersTable(samples));
}

async function catchUp(): Promise<void> {
  const wrapped = { entry: "log-worker.ts", vars: CATCH_UP_VARS };
  await using product = await startProduct(provider, wrapped);
  await warmUp(product.url);
  const samples = new Samples();
  for (const _ of rounds("catch-up")) await measureCatchUp(provider.url, product.url, samples);
  print("## Late readers", catchUpTable(samples));
}

async function memory(): Promise<void> {
  const samples = new Samples();
  for (const _ of rounds("memory")) await measureMemory(provider, samples);
  print("## Memory", memoryTable(samples));
}

async function idle(): Promise<void> {
  const samples = new Samples();
  for (const _ of rounds("idle")) await measureIdle(provider, samples);
  print("## Idle readers", idleTable(samples));
}

async function cost(): Promise<void> {
  note("cost");
  await using product = await startProduct(provider, { entry: "counted-worker.ts" });
  print("## Cost", ...costTables(await measureCost(product.url)));
}

async function listing(): Promise<void> {
  await using filled = await startProduct(provider, { entry: "listing-worker.ts" });
  await using empty = await startProduct(provider, { entry: "listing-worker.ts" });
  const figures = await measureListing(filled.url, empty.url);
  print(`## ${LISTING_TITLE}`, ...listingTables(figures));
}

async function backlog(): Promise<void> {
  if (fresh.empty) await requests();
  await using product = await startProduct(provider);
  await warmUp(product.url);
  const loaded = await measureBacklog(product.url);
  print(`## ${BACKLOG_TITLE}`, ...backlogTables(fresh, loaded));
}

/** A product for each round: what is sent again leaves nothing to measure. */
async function deadLetters(): Promise<void> {
  const samples = new Samples();
  for (const _ of rounds("dead letters")) {
    await using product = await startProduct(provider, { entry: "letters-worker.ts" });
    await warmUp(product.url);
    await measureDeadLetters(product.url, samples);
  }
  print(`## ${DEAD_LETTERS_TITLE}`, ...deadLetterTables(samples));
}

async function webhooks(): Promise<void> {
  const samples = new Samples();
  for (const round of rounds("webhooks")) await measureWebhooks(provider, round, samples);
  print(`## ${WEBHOOKS_TITLE}`, ...webhookTables(samples));
}

/** A product for each pace, so that none has a line before it. */
async function estimates(): Promise<void> {
  const samples = new Samples();
  for (const _ of rounds("estimates")) await measureEstimates(provider, samples);
  print(`## ${ESTIMATES_TITLE}`, estimatesTable(samples));
}

async function lanes(): Promise<void> {
  const samples = new Samples();
  for (const _ of rounds("lanes")) {
    await measureLanes(provider, samples);
    await measureTenants(provider, samples);
  }
  print(`## ${LANES_TITLE}`, ...lanesTables(samples), tenantsTable(samples));
}

/** A product for each round, so that none has much behind it. */
async function batches(): Promise<void> {
  const samples = new Samples();
  for (const _ of rounds("batches")) {
    await using product = await startProduct(provider);
    await warmUp(product.url);
    await measureBatches(product.url, samples);
  }
  await using counted = await startProduct(provider, { entry: "counted-worker.ts" });
  print(`## ${BATCHES_TITLE}`, ...batchTables(samples, await measureBatchCost(counted.url)));
}

async function start(): Promise<void> {
  const samples = new Samples();
  for (const _ of rounds("start")) await measureStart(provider, samples);
  print("## Start", startTable(samples));
}

function machine(): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const where = `${availableParallelism()} cores (${model}), ${gigabytes} GB, Node ${process.version}`;
  const reduced = SCALE === 1 ? "" : ` **Amounts times ${SCALE}: not a result.**`;
  return `Measured ${new Date().toISOString().slice(0, 10)} on ${where}. Median of ${ROUNDS} rounds (range).${reduced}`;
}

function print(...blocks: string[]): void {
  process.stdout.write(`${blocks.join("\n\n")}\n\n`);
}
