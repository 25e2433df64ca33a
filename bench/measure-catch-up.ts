import { setTimeout as sleep } from "node:timers/promises";

import { within } from "../src/within.ts";
import { byStream, Caught, WAYS, type Log } from "./catching-up.ts";
import { Client } from "./client.ts";
import { scaled, table, type Samples } from "./figures.ts";
import { Connections } from "./load.ts";
import { promptFor } from "./prompt.ts";

/** Far beyond what any of it takes. */
const START_WITHIN_MS = 30_000;
const READ_WITHIN_MS = 120_000;
const POLL_MS = 50;

/** Many small events, and text as an unwatched job's is stored, 64 kB in a row. */
const TEXTS = [
  {
    name: `${scaled(20_000, 100).toLocaleString("en-US")} events`,
    events: scaled(20_000, 100),
    chars: 5,
  },
  { name: `${(scaled(64) * 65_536) / 2 ** 20} MB`, events: scaled(64), chars: 65_536 },
];
const LOGS = TEXTS.flatMap((text) => [
  { ...text, name: `${text.name}, ended`, ends: true },
  { ...text, name: `${text.name}, running`, ends: false },
]);

const DIRECT = "the same bytes from the provider";

/** The attempts run for as long as it takes to read what they have said. */
export const CATCH_UP_VARS = { DEFAULT_TIMEOUT_MS: "600000", IDLE_TIMEOUT_MS: "600000" };

/** One round: each log is read in every way, and what its event stream holds once more from the provider itself. */
export async function measureCatchUp(
  provider: string,
  url: string,
  samples: Samples,
): Promise<void> {
  using client = new Client(url);
  for (const kind of LOGS) {
    const log = await written(client, kind);
    const stream = await caughtUp(log, (caught) =>
      byStream(url, `/api/jobs/${log.id}/events`, caught),
    );
    await serveDirectly(provider, Buffer.concat(stream.chunks));
    const direct = await measure(`${kind.name} ${DIRECT}`, log, samples, (caught) =>
      byStream(provider, "/-/bytes", caught),
    );
    samples.add(`${kind.name} ${DIRECT} ratio`, 1);
    for (const [way, catchUp] of Object.entries(WAYS)) {
      const name = `${kind.name} ${way}`;
      const ms = await measure(name, log, samples, (caught) => catchUp(url, log.id, caught));
      samples.add(`${name} ratio`, ms / direct);
    }
    if (kind.ends) continue;
    await client.ask({ method: "POST", path: `/api/jobs/${log.id}/cancel` }, 200);
  }
}

/** A job whose call never says a word; its log is written in the model's place. */
async function written(client: Client, kind: (typeof LOGS)[number]): Promise<Log> {
  const id = await client.submit({ prompt: promptFor({ tokens: 1, first: 600_000 }) });
  const deadline = Date.now() + START_WITHIN_MS;
  while ((await client.read(id)).status !== "active") {
    if (Date.now() > deadline) throw new Error(`job ${id} does not start`);
    await sleep(POLL_MS);
  }
  const body = JSON.stringify(kind);
  await client.ask({ method: "POST", path: `/api/bench/log?id=${id}`, body }, 204);
  const { status, last_seq: lastSeq } = await client.read(id);
  if (status !== (kind.ends ? "completed" : "active")) throw new Error(`job ${id} is ${status}`);
  return { id, lastSeq, chars: kind.events * kind.chars };
}

async function serveDirectly(provider: string, bytes: Buffer): Promise<void> {
  using connections = new Connections(provider);
  await connections.ask({ method: "POST", path: "/-/bytes", body: bytes.toString() }, 200);
}

type Read = (caught: Caught) => Promise<void>;

async function caughtUp(log: Log, read: Read): Promise<Caught> {
  const caught = new Caught(log);
  await within(READ_WITHIN_MS, read(caught));
  return caught;
}

/** Milliseconds from the request to the last event. */
async function measure(name: string, log: Log, samples: Samples, read: Read): Promise<number> {
  const startedAt = performance.now();
  const { bytes } = await caughtUp(log, read);
  const ms = performance.now() - startedAt;
  samples.add(`${name} ms`, ms);
  samples.add(`${name} events`, (log.lastSeq * 1_000) / ms);
  samples.add(`${name} MB`, bytes / 1e3 / ms);
  return ms;
}

export function catchUpTable(samples: Samples): string {
  const columns = ["ms", "events", "MB", "ratio"];
  return table(
    ["Log", "read by", "all of it after ms", "events per second", "MB per second", "÷ direct"],
    LOGS.flatMap((log) =>
      [DIRECT, ...Object.keys(WAYS)].map((way) =>
        [log.name, way].concat(
          columns.map((column) => samples.show(`${log.name} ${way} ${column}`)),
        ),
      ),
    ),
  );
}
