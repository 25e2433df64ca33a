import { Client } from "./client.ts";
import { scaled, table, type Samples } from "./figures.ts";
import { attachSocket, attachStream, type Attach, type IdleReader } from "./idle-readers.ts";
import { Connections, inParallel } from "./load.ts";
import { settled } from "./measure-memory.ts";
import { processMemory, startProduct, startProvider, type Server } from "./processes.ts";
import { promptFor } from "./prompt.ts";

const READERS = scaled(1_000, 20);
/** Attached before anything is measured: code that runs for the first time takes memory of its own. */
const FIRST = 50;
/** At once on their way: a backlog of connections is no part of what is measured. */
const AT_ONCE = 50;

type Kind = { name: string; jobs: number; attach: Attach };

const KINDS: Kind[] = [
  { name: "SSE, all of one job", jobs: 1, attach: attachStream },
  { name: "WebSocket, all of one job", jobs: 1, attach: attachSocket },
  { name: "WebSocket, each of a job of its own", jobs: READERS, attach: attachSocket },
];
const DIRECT = "a call of the model that waits for its first token, in the model's own process";

/** One round: each kind of reader in a product of its own, and as many calls of a model of their own. */
export async function measureIdle(provider: Server, samples: Samples): Promise<void> {
  await measureDirect(samples);
  for (const kind of KINDS) await measureKind(provider, kind, samples);
}

async function measureKind(
  provider: Server,
  { name, jobs, attach }: Kind,
  samples: Samples,
): Promise<void> {
  await using product = await startProduct(provider);
  using client = new Client(product.url);
  const attachAll = async (ids: string[], count: number) => {
    const readers: IdleReader[] = [];
    await inParallel(AT_ONCE, count, async (at) => {
      readers.push(await attach(client, product.url, ids[at % ids.length] ?? ""));
    });
    return readers;
  };
  const first = await waitingJobs(client, Math.min(jobs, FIRST));
  await endAll(client, first, await attachAll(first, FIRST));
  const ids = await waitingJobs(client, jobs);
  const before = await settled(product);
  const readers = await attachAll(ids, READERS);
  add(samples, name, before, await settled(product));
  await endAll(client, ids, readers);
}

/** Jobs that are not due before the benchmark has ended. */
async function waitingJobs(client: Client, count: number): Promise<string[]> {
  const ids: string[] = [];
  await inParallel(AT_ONCE, count, async () => {
    ids.push(await client.submit({ prompt: promptFor({ tokens: 1 }), delay_seconds: 86_400 }));
  });
  return ids;
}

/** Cancels the jobs, of which all their readers must be told: so all of them were there. */
async function endAll(client: Client, ids: string[], readers: IdleReader[]): Promise<void> {
  const told = Promise.all(readers.map((reader) => reader.told()));
  const cancelled = inParallel(AT_ONCE, ids.length, async (at) => {
    await client.ask({ method: "POST", path: `/api/jobs/${ids[at]}/cancel` }, 200);
  });
  await Promise.all([cancelled, told]);
}

async function measureDirect(samples: Samples): Promise<void> {
  await using model = await startProvider();
  using connections = new Connections(model.url);
  const content = promptFor({ tokens: 1, first: 600_000 });
  const body = JSON.stringify({ stream: true, messages: [{ role: "user", content }] });
  const ask = { method: "POST", path: "/v1/chat/completions", body };
  const call = async () => {
    const response = await connections.open(ask, 200);
    return response.on("error", () => {}).resume();
  };
  await inParallel(AT_ONCE, FIRST, async () => void (await call()));
  const before = await settled(model, processMemory);
  const calls: Awaited<ReturnType<typeof call>>[] = [];
  await inParallel(AT_ONCE, READERS, async () => void calls.push(await call()));
  add(samples, DIRECT, before, await settled(model, processMemory));
  if (calls.some(({ closed }) => closed)) throw new Error("a call of the model was lost");
}

/** `before` and `after` in bytes. */
function add(samples: Samples, name: string, before: number, after: number): void {
  samples.add(`${name} before`, before / 1e6);
  samples.add(`${name} after`, after / 1e6);
  samples.add(`${name} each`, (after - before) / READERS / 1e3);
}

export function idleTable(samples: Samples): string {
  return table(
    [
      `${READERS.toLocaleString("en-US")} idle readers`,
      "MB before",
      "MB with them",
      "kB per reader",
    ],
    [...KINDS.map(({ name }) => name), DIRECT].map((name) =>
      [name].concat(["before", "after", "each"].map((column) => samples.show(`${name} ${column}`))),
    ),
  );
}
