import { Client } from "./client.ts";
import { percentile, rounded, scaled, table, type Samples } from "./figures.ts";
import { inParallel } from "./load.ts";
import { startProduct, type Server } from "./processes.ts";
import { promptFor } from "./prompt.ts";

/** How many calls the lane has at once, and how long each takes. The provider has no limit. */
const PLACES = 20;
const CALL_MS = 2_000;
const FLOOD = scaled(600, 100);
/** Jobs of the other tenant, each submitted when the one before has ended: it never has more than one. */
const SINGLES = scaled(8, 2);
const IN_FLIGHT = 16;

const ADMIN_API_KEY = "benchmark-0123456789-0123456789-0123456789";
const VARS = {
  AUTH_MODE: "keys",
  ADMIN_API_KEY,
  SIGNING_KEY: "benchmark-signing-0123456789-0123456789",
  LANE_CONCURRENCY_NORMAL: String(PLACES),
  SUBMITS_PER_MINUTE: "1000000",
  MAX_QUEUED_JOBS: "1000000",
  DAY_BUDGET_USD: "1000000",
  MONTH_BUDGET_USD: "1000000",
};

/** One round: a tenant's only job alone, and behind a flood of another tenant in the same lane. */
export async function measureTenants(provider: Server, samples: Samples): Promise<void> {
  for (const [name, flood] of [["single", 0] as const, ["single behind", FLOOD] as const]) {
    await using product = await startProduct(provider, { vars: VARS });
    using many = new Client(product.url, { key: await tenantKey(product, "many") });
    using one = new Client(product.url, { key: await tenantKey(product, "one") });
    await runOne(one);
    const submitted: string[] = [];
    await inParallel(IN_FLIGHT, flood, async () => void submitted.push(await submitOne(many)));
    // Its message comes behind those of the flood, in a queue that is first come, first served: by now they have come through.
    await runOne(one);
    const runs: Run[] = [];
    for (let single = 0; single < SINGLES; single++) runs.push(await runOne(one));
    if (flood > 0) await seeThatTheyWait(many, submitted);
    for (const what of ["waitMs", "allMs"] as const) {
      const spans = runs.map((run) => run[what]);
      samples.add(`${name} ${what} p50`, percentile(spans, 0.5));
      samples.add(`${name} ${what} most`, Math.max(...spans));
    }
  }
}

/** Creates a tenant and a key of it. */
async function tenantKey({ url }: Server, tenant: string): Promise<string> {
  using operator = new Client(url, { key: ADMIN_API_KEY });
  const path = "/api/admin/tenants";
  const create = (at: string, body: object) =>
    operator.ask({ method: "POST", path: at, body: JSON.stringify(body) }, 201);
  await create(path, { tenant, tier: "default" });
  const scopes = ["jobs:read", "jobs:write"];
  return (JSON.parse(await create(`${path}/${tenant}/keys`, { scopes })) as { key: string }).key;
}

function submitOne(client: Client): Promise<string> {
  return client.submit({ prompt: promptFor({ tokens: 1, first: CALL_MS }) });
}

/** Milliseconds from a job's submission to its first attempt, and to when its follower has its end. */
type Run = { waitMs: number; allMs: number };

async function runOne(client: Client): Promise<Run> {
  const startedAt = performance.now();
  const id = await submitOne(client);
  await client.follow(id);
  const allMs = performance.now() - startedAt;
  const { timings } = await client.read(id);
  if (typeof timings?.queue_ms !== "number") throw new Error(`job ${id} never started`);
  return { waitMs: timings.queue_ms, allMs };
}

/** What was measured was not behind a flood unless much of it waits still. */
async function seeThatTheyWait(client: Client, ids: string[]): Promise<void> {
  let queued = 0;
  await inParallel(IN_FLIGHT, ids.length, async (at) => {
    if ((await client.read(ids[at] ?? "")).status === "queued") queued++;
  });
  if (queued < FLOOD / 10) throw new Error(`of ${FLOOD} jobs only ${queued} wait still`);
}

export function tenantsTable(samples: Samples): string {
  const row = (title: string, name: string) => [
    title,
    samples.show(`${name} waitMs p50`),
    samples.show(`${name} waitMs most`),
    samples.show(`${name} allMs p50`),
    rounded(samples.median(`${name} allMs p50`) / samples.median("single allMs p50")),
  ];
  return table(
    [
      `A tenant's only job, calls of ${CALL_MS / 1_000} s, ${PLACES} at once, no limit`,
      "wait, p50 ms",
      "wait, most ms",
      "to its end, p50 ms",
      "times alone",
    ],
    [row("alone", "single"), row(`behind another's ${FLOOD}, same lane`, "single behind")],
  );
}
