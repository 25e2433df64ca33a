import { setTimeout as sleep } from "node:timers/promises";

import type { JobAccepted } from "../src/schema/job.ts";
import { Client } from "./client.ts";
import { percentile, scaled, table, type Samples } from "./figures.ts";
import { inParallel } from "./load.ts";
import { warmUp } from "./measure-requests.ts";
import { startProduct, type Server } from "./processes.ts";
import { promptFor } from "./prompt.ts";

/** Of requests in a minute, and how long each takes. */
const LIMIT = 120;
const CALL = { tokens: 1, first: 2_000 };
const JOBS = scaled(80, 40);
/** Jobs come one after the other, and a batch at once. */
const PACES = [
  { name: "5 a second", everyMs: 200 },
  { name: "at once", everyMs: 0 },
] as const;
/** How often a job that waits is read. */
const READ_MS = 2_000;
const LEAST_WAIT_SECONDS = 5;
const IN_FLIGHT = 16;

export const ESTIMATES_TITLE = "Estimates";

/** What was told, and what came true, in seconds. */
type Fate = { told: number; waited: number };

/** One round: at each pace, jobs that are told of their wait when they are submitted, and while they wait. */
export async function measureEstimates(provider: Server, samples: Samples): Promise<void> {
  for (const { name, everyMs } of PACES) {
    await using product = await startProduct(provider);
    await warmUp(product.url);
    using client = new Client(product.url);
    // Only now, so that nobody is in line from before.
    const body = JSON.stringify({ requests_per_minute: LIMIT });
    await client.ask({ method: "PUT", path: "/api/admin/providers/openai", body }, 200);
    // What the Worker knew of the line before that may be a second old.
    await sleep(1_500);
    const fates: Promise<Fates>[] = [];
    await inParallel(everyMs === 0 ? IN_FLIGHT : JOBS, JOBS, async (at) => {
      await sleep(at * everyMs);
      const told = await client.accepted({ prompt: promptFor(CALL) });
      fates.push(fatesOf(client, told));
    });
    const all = await Promise.all(fates);
    add(
      samples,
      `${name}, submitted`,
      all.map(({ submitted }) => submitted),
    );
    add(
      samples,
      `${name}, read`,
      all.flatMap(({ read }) => read),
    );
  }
}

type Fates = { submitted: Fate; read: Fate[] };

/** Reads the job until it has begun. */
async function fatesOf(client: Client, accepted: JobAccepted): Promise<Fates> {
  const reads: { told: number; at: number }[] = [];
  for (;;) {
    await sleep(READ_MS);
    const at = Date.now();
    const { status, estimated_wait = 0, started_at = "" } = await client.read(accepted.job_id);
    if (status === "queued") {
      reads.push({ told: estimated_wait, at });
      continue;
    }
    const startedAt = Date.parse(started_at);
    const fate = (told: number, from: number) => ({ told, waited: (startedAt - from) / 1_000 });
    return {
      submitted: fate(accepted.estimated_wait, Date.parse(accepted.submitted_at)),
      read: reads.map((each) => fate(each.told, each.at)),
    };
  }
}

/** In percent of the wait: of those that waited long enough for that to mean something. */
function add(samples: Samples, name: string, fates: Fate[]): void {
  const errors = fates.map(({ told, waited }) => Math.abs(told - waited));
  samples.add(`${name} error p50`, percentile(errors, 0.5));
  samples.add(`${name} error p90`, percentile(errors, 0.9));
  const long = fates.filter(({ waited }) => waited >= LEAST_WAIT_SECONDS);
  const shares = long.map(({ told, waited }) => (100 * Math.abs(told - waited)) / waited);
  samples.add(`${name} share p50`, percentile(shares, 0.5));
  samples.add(`${name} share p90`, percentile(shares, 0.9));
  const sum = (of: keyof Fate) => long.reduce((all, fate) => all + fate[of], 0);
  samples.add(`${name} bias`, 100 * (sum("told") / sum("waited") - 1));
  samples.add(
    `${name} wait`,
    percentile(
      fates.map(({ waited }) => waited),
      0.5,
    ),
  );
}

export function estimatesTable(samples: Samples): string {
  const names = PACES.flatMap(({ name }) => [`${name}, submitted`, `${name}, read`]);
  const measures = ["wait", "error p50", "error p90", "share p50", "share p90", "bias"];
  return table(
    [
      `${JOBS} jobs of 2 s, ${LIMIT} a minute`,
      "wait, median s",
      "error, median s",
      "error, p90 s",
      `waited ≥ ${LEAST_WAIT_SECONDS} s: error, median %`,
      "p90 %",
      "bias %",
    ],
    names.map((name) => [name].concat(measures.map((each) => samples.show(`${name} ${each}`)))),
  );
}
