import { setTimeout as sleep } from "node:timers/promises";

import type { DeadLetterList, OperationView } from "../src/schema/dead-letter.ts";
import { scaled, table, type Samples } from "./figures.ts";
import { Connections, load } from "./load.ts";

/** What an outage leaves behind. */
const LETTERS = scaled(10_000, 200);
/** Letters added in one call: as many as their consumer adds at the most. */
const BATCH = 8;
const PAGE = 50;
const READS = scaled(200, 20);
/** How far down the deep page is. */
const DEPTH = 0.9;
const RATE = 1_000;

const PATH = "/api/admin/dead-letter";

/** One round: letters come in, are looked at in every way, and are all sent again. */
export async function measureDeadLetters(url: string, samples: Samples): Promise<void> {
  using operator = new Connections(url);
  const fillingAt = performance.now();
  for (let from = 0; from < LETTERS; from += BATCH) {
    const addedAt = performance.now();
    const count = Math.min(BATCH, LETTERS - from);
    const ask = { method: "POST", path: `/api/letters?from=${from}&count=${count}` };
    await operator.ask(ask, 204);
    samples.add("add p50", performance.now() - addedAt);
  }
  samples.add("filled", (performance.now() - fillingAt) / 1_000);
  const reads = {
    ...READ,
    "list, deep page": `${PATH}?limit=${PAGE}&cursor=${await deep(operator)}`,
  };
  for (const [name, path] of Object.entries(reads)) {
    const plan = { connections: 1, requests: READS, expected: 200, ask: () => ({ path }) };
    const { p50, p99 } = await load(url, plan);
    samples.add(`${name} p50`, p50);
    samples.add(`${name} p99`, p99);
  }
  await retryAll(operator, samples);
}

const READ = {
  "list, first page": `${PATH}?limit=${PAGE}`,
  "list, filtered": `${PATH}?limit=${PAGE}&error_code=timeout&model=gpt-4o`,
  "list of one tenant": `${PATH}?limit=${PAGE}&tenant=tenant-42`,
  groups: `${PATH}/groups`,
};

/** A cursor far down the list. */
async function deep(operator: Connections): Promise<string> {
  let cursor = "";
  for (let seen = 0; seen < LETTERS * DEPTH;) {
    const path = `${PATH}?limit=200${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const page = JSON.parse(await operator.ask({ path }, 200)) as DeadLetterList;
    if (page.total !== LETTERS) throw new Error(`${page.total} letters of ${LETTERS}`);
    if (page.next_cursor === null) break;
    cursor = page.next_cursor;
    seen += page.count;
  }
  return cursor;
}

async function retryAll(operator: Connections, samples: Samples): Promise<void> {
  const startedAt = performance.now();
  const body = JSON.stringify({ filter: {}, rate_per_second: RATE });
  const ask = { method: "POST", path: `${PATH}/retry`, body };
  const { status_url } = JSON.parse(await operator.ask(ask, 202)) as { status_url: string };
  samples.add("retry accepted", performance.now() - startedAt);
  for (;;) {
    await sleep(100);
    const answer = await operator.ask({ path: status_url }, 200);
    const { status, done, refused } = JSON.parse(answer) as OperationView;
    if (refused > 0) throw new Error(`${refused} letters were refused`);
    if (status === "running") continue;
    if (done !== LETTERS) throw new Error(`${done} letters of ${LETTERS} were sent again`);
    const seconds = (performance.now() - startedAt) / 1_000;
    samples.add("retry seconds", seconds);
    samples.add("retry rate", LETTERS / seconds);
    return;
  }
}

export const DEAD_LETTERS_TITLE = `${LETTERS.toLocaleString("en-US")} dead letters`;

export function deadLetterTables(samples: Samples): string[] {
  const reads = [...Object.keys(READ), "list, deep page"];
  return [
    table(
      ["Look at them", "p50 ms", "p99 ms"],
      reads.map((name) => [name, samples.show(`${name} p50`), samples.show(`${name} p99`)]),
    ),
    table(
      ["Work on them", "figure"],
      [
        [`${BATCH} added in one call, ms`, samples.show("add p50")],
        ["all added, s", samples.show("filled")],
        ["bulk retry of all accepted, ms", samples.show("retry accepted")],
        [`bulk retry of all at ${RATE} a second done, s`, samples.show("retry seconds")],
        ["jobs submitted a second", samples.show("retry rate")],
      ],
    ),
  ];
}
