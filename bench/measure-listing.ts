import { LISTING_SHARDS } from "../src/ids.ts";
import type { JobList } from "../src/schema/listing.ts";
import { Client } from "./client.ts";
import { promptFor } from "./prompt.ts";
import { note, rounds, rounded, Samples, scaled, table } from "./figures.ts";
import { positionAt, RARE_MODEL, type Fill } from "./listing-entries.ts";
import { inParallel, load } from "./load.ts";

const ENTRIES = scaled(1_000_000, LISTING_SHARDS * 10);
/** What the almost empty tenant has: a first page and a bit. */
const FEW = LISTING_SHARDS * 2;
const OPEN = 20;
const FILL_AT_ONCE = 2_000;
const REQUESTS = scaled(300, 30);

export const LISTING_TITLE = `The list of a tenant with ${ENTRIES.toLocaleString("en-US")} jobs`;

type Page = { name: string; query: string };
type Figures = { pages: Page[]; samples: Samples; bytes: number; fillSeconds: number };

/** The same pages of a tenant with many jobs and of one with hardly any, one request at a time. */
export async function measureListing(filled: string, empty: string): Promise<Figures> {
  const newest = Date.now() - 1_000;
  note(`listing: making ${ENTRIES} entries`);
  const startedAt = performance.now();
  const bytes = await fill(filled, ENTRIES, newest);
  const fillSeconds = (performance.now() - startedAt) / 1_000;
  await fill(empty, FEW, newest);
  const ended = pagesOf(newest);
  const samples = new Samples();
  for (const _ of rounds("listing")) {
    await measurePages(ended, filled, empty, samples);
  }
  await openJobs(filled);
  await openJobs(empty);
  const open = [
    { name: `first page, ${OPEN} open jobs in front`, query: "?limit=20" },
    { name: "`status=queued`", query: "?limit=20&status=queued" },
  ];
  for (const _ of rounds("listing of open jobs")) {
    await measurePages(open, filled, empty, samples);
  }
  return { pages: [...ended, ...open], samples, bytes, fillSeconds };
}

function pagesOf(newest: number): Page[] {
  const behind = (nth: number) => {
    const { submittedAt, jobId } = positionAt(newest, nth);
    return `cursor=${Buffer.from(`${submittedAt}.${jobId}`).toString("base64url")}`;
  };
  const after = new Date(positionAt(newest, 10).submittedAt).toISOString();
  return [
    { name: "first page", query: "?limit=20" },
    { name: "first page of 100", query: "?limit=100" },
    { name: "page in the middle", query: `?limit=20&${behind(Math.floor(ENTRIES / 2))}` },
    { name: "last page", query: `?limit=20&${behind(ENTRIES - 10)}` },
    { name: "rare status", query: "?limit=20&status=cancelled" },
    { name: "rare model", query: `?limit=20&model=${encodeURIComponent(RARE_MODEL)}` },
    { name: "status and model", query: "?limit=20&status=failed&model=gpt-4o" },
    { name: "`created_after` of the newest ten", query: `?limit=20&created_after=${after}` },
  ];
}

async function measurePages(
  pages: Page[],
  filled: string,
  empty: string,
  samples: Samples,
): Promise<void> {
  for (const { name, query } of pages) {
    for (const [tenant, url] of [
      ["filled", filled],
      ["empty", empty],
    ] as const) {
      const ask = () => ({ path: `/api/jobs${query}` });
      const plan = { connections: 1, requests: REQUESTS, expected: 200, ask };
      const { p50, p99 } = await load(url, plan);
      samples.add(`${name} ${tenant} p50`, p50);
      samples.add(`${name} ${tenant} p99`, p99);
    }
    const ratio = samples.of(`${name} filled p50`).at(-1) ?? NaN;
    samples.add(`${name} ratio`, ratio / (samples.of(`${name} empty p50`).at(-1) ?? NaN));
  }
}

/** Answers how many bytes all shards have by then. */
async function fill(url: string, entries: number, newest: number): Promise<number> {
  using client = new Client(url);
  const each = Math.ceil(entries / LISTING_SHARDS);
  const bytes = Array.from({ length: LISTING_SHARDS }, () => 0);
  await inParallel(2, LISTING_SHARDS, async (shard) => {
    for (let end = each; end > 0; end -= FILL_AT_ONCE) {
      const from = Math.max(0, end - FILL_AT_ONCE);
      const plan: Fill = { shard, from, count: end - from, newest };
      const ask = { path: "/api/bench/fill", method: "POST", body: JSON.stringify(plan) };
      bytes[shard] = JSON.parse(await client.ask(ask, 200)) as number;
    }
  });
  return bytes.reduce((sum, size) => sum + size, 0);
}

/** Submits jobs that are not due, so that they stay open, and waits until the list has them in front. */
async function openJobs(url: string): Promise<void> {
  using client = new Client(url);
  for (let at = 0; at < OPEN; at++) {
    const id = await client.submit({ prompt: promptFor({ tokens: 1 }), delay_seconds: 86_400 });
    const body = JSON.stringify(await client.read(id));
    await client.ask({ path: "/api/bench/open", method: "POST", body }, 200);
  }
  const { jobs } = JSON.parse(await client.ask({ path: "/api/jobs" }, 200)) as JobList;
  const queued = jobs.filter(({ status }) => status === "queued").length;
  if (queued !== OPEN) throw new Error(`${queued} open jobs are listed, not ${OPEN}`);
}

export function listingTables({ pages, samples, bytes, fillSeconds }: Figures): string[] {
  return [
    table(
      ["Page", "p50 ms", "p99 ms", "almost empty: p50 ms", "p99 ms", "p50 ÷ almost empty"],
      pages.map(({ name }) => [
        name,
        samples.show(`${name} filled p50`),
        samples.show(`${name} filled p99`),
        samples.show(`${name} empty p50`),
        samples.show(`${name} empty p99`),
        samples.show(`${name} ratio`),
      ]),
    ),
    `An entry takes ${rounded(bytes / ENTRIES)} bytes. They were written at ${rounded(ENTRIES / fillSeconds)} a second, all shards in one thread.`,
  ];
}
