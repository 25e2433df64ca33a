import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { startProvider } from "../test/support/provider-server.ts";
import { seeded } from "../test/support/random.ts";
import { WranglerProcess } from "../test/support/wrangler-process.ts";
import { audit, isSame } from "./audit.ts";
import { Client, insist } from "./client.ts";
import { isOver, Journal, type Found } from "./journal.ts";
import { Load } from "./load.ts";
import type { Features } from "./visitor.ts";

process.chdir(resolve(import.meta.dirname, ".."));

const MINUTES = Number(process.env["SOAK_MINUTES"] ?? 15);
const SEED = Number(process.env["SOAK_SEED"] ?? Date.now() % 1_000_000);
const RATE = Number(process.env["SOAK_RATE"] ?? 3);

/** Waits short, so that in minutes there is much of everything; the lease long enough for a busy machine. */
const SETTINGS = {
  OPENAI_API_KEY: "soak",
  OPENAI_REQUESTS_PER_MINUTE: "0",
  LEASE_SECONDS: "5",
  PULSE_MS: "500",
  RETRY_BASE_MS: "100",
  RETRY_MAX_MS: "2000",
  HEADERS_TIMEOUT_MS: "1500",
  IDLE_TIMEOUT_MS: "1500",
  UNWATCHED_JOIN_MS: "300",
};

/** How long the product lives from one kill to the next, and how long it is dead. */
const LIFE_MS = { least: 6_000, most: 30_000 };
const DEATH_MS = 2_000;

/** Enough for a job whose every message was lost: its alarm rings after 30 s, 1 min, 2 min, 4 min. */
const SETTLE_MS = 480_000;

/** Reads at once at the end, as many as the local runtime bears. */
const AUDITORS = 8;

const journal = new Journal();
const startedAt = Date.now();
say(`SOAK_SEED=${SEED}: ${MINUTES} minutes at ${RATE} jobs a second`);
const provider = await startProvider();
const product = await WranglerProcess.start({ ...SETTINGS, OPENAI_BASE_URL: provider.url });
try {
  const client = new Client(product.url);
  const load = new Load(client, journal, await features(client), SEED);
  const until = Date.now() + MINUTES * 60_000;
  await Promise.all([load.run(until, RATE), killUntil(until)]);
  say("no more submissions; waiting for every job to end");
  await Promise.race([load.settled(), sleep(SETTLE_MS, undefined, { ref: false })]);
  await conclude(client);
} finally {
  await product.close();
  await provider.close();
}
process.exit(journal.violations.length === 0 ? 0 : 1);

/** Ends every process of the product at random moments, and starts it on what it had kept. */
async function killUntil(until: number): Promise<void> {
  const random = seeded(SEED + 1);
  for (;;) {
    const lifeMs = LIFE_MS.least + random() * (LIFE_MS.most - LIFE_MS.least);
    if (Date.now() + lifeMs > until) return;
    await sleep(lifeMs);
    await product.kill();
    journal.kills++;
    await sleep(random() * DEATH_MS);
    await product.start();
    say(`killed ${journal.kills} times, ${journal.entries.length} jobs`);
  }
}

async function features(client: Client): Promise<Features> {
  const { body } = await insist(() => client.ask("/openapi.json"));
  const { paths } = body as { paths: Record<string, object> };
  const has = (path: string, method: string) => method in (paths[path] ?? {});
  return {
    retry: has("/api/jobs/{id}/retry", "post"),
    remove: has("/api/jobs/{id}", "delete"),
    deadLetters: has("/api/admin/dead-letter", "get"),
  };
}

/** Reads every job, kills once more, reads every log again, and holds all of it to the rules. */
async function conclude(client: Client): Promise<void> {
  const found = await mapped(journal.entries, async (entry): Promise<Found[]> => {
    const { id } = entry;
    if (id === null) return [];
    const view = await client.read(id);
    if (view !== null && !isOver(view.status)) journal.violated(id, "invariant 2: it never ended");
    const over = view !== null && isOver(view.status);
    return [{ entry, id, view, log: over ? await client.log(id) : [] }];
  });
  const jobs = found.flat();
  const calls = provider.calls.length;
  await product.kill();
  journal.kills++;
  await product.start();
  await mapped(jobs, async ({ id, log, view }) => {
    if (view === null || !isOver(view.status)) return;
    const half = Math.floor(log.length / 2);
    const again = [...log.slice(0, half), ...(await client.log(id, half))];
    if (!isSame(again, log)) journal.violated(id, "invariant 4: read again, its log is another");
  });
  if (provider.calls.length > calls)
    journal.violated(null, "invariant 3: calls after all had ended");
  audit(jobs, provider.calls, journal);
  if ((await features(client)).deadLetters) await auditDeadLetters(client, jobs);
  summarize(jobs);
}

/** Every job that failed, and that nobody repeated or deleted, is among the dead letters. */
async function auditDeadLetters(client: Client, jobs: Found[]): Promise<void> {
  const kept = new Set<string>();
  for (let cursor: string | null = ""; cursor !== null;) {
    const path = `/api/admin/dead-letter?limit=50${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const { body } = await insist(() => client.ask(path));
    const page = body as { jobs: { original_job_id: string }[]; next_cursor: string | null };
    for (const { original_job_id } of page.jobs) kept.add(original_job_id);
    cursor = page.next_cursor;
  }
  for (const { entry, id, view } of jobs) {
    const left = entry.repeatedAs === null && entry.deletedAt === null;
    if (left && view?.status === "failed" && !kept.has(id)) {
      journal.violated(id, "it failed and is not among the dead letters");
    }
  }
}

async function mapped<T, R>(items: T[], task: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) results.push(await task(item));
  };
  await Promise.all(Array.from({ length: AUDITORS }, worker));
  return results;
}

function summarize(jobs: Found[]): void {
  const count = (holds: (job: Found) => boolean) => jobs.filter(holds).length;
  const lines = {
    seed: SEED,
    minutes: Math.round((Date.now() - startedAt) / 6_000) / 10,
    jobs: jobs.length,
    completed: count(({ view }) => view?.status === "completed"),
    failed: count(({ view }) => view?.status === "failed"),
    cancelled: count(({ view }) => view?.status === "cancelled"),
    deleted: count(({ entry }) => entry.deletedAt !== null),
    repeated: count(({ entry }) => entry.repeatedAs !== null),
    "submissions whose answer was lost": count(({ entry }) => entry.lost > 0),
    "readers that resumed": count(({ entry }) => entry.seen.length > 0),
    kills: journal.kills,
    calls: provider.calls.length,
    violations: journal.violations.length,
  };
  for (const [name, value] of Object.entries(lines)) say(`${name}: ${value}`);
  for (const { id, what } of journal.violations) say(`  ${id}: ${what}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
