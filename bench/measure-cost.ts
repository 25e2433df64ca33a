import { setTimeout as sleep } from "node:timers/promises";

import { objectName } from "../src/ids.ts";
import { itemise, sum, type Bill, type Item } from "./bill.ts";
import { Client } from "./client.ts";
import { median, ROUNDS, rounded, Samples, scaled, table } from "./figures.ts";
import { promptFor } from "./prompt.ts";

const STREAM = { tokens: scaled(200, 20), every: 50 };
const STREAM_SECONDS = (STREAM.tokens * STREAM.every) / 1_000;
/** The alarm set at submission, for a message that might get lost, goes off after 30 s. */
const LAST_ALARM_MS = 33_000;

type Metered = { bill: Bill; items: Item[] };
export type Costs = { unwatched: Metered[]; watched: Metered[] };

/** As many jobs as rounds, unwatched and watched, all at once: each is counted by itself. */
export async function measureCost(url: string): Promise<Costs> {
  using client = new Client(url);
  const jobs = (watched: boolean) =>
    Promise.all(Array.from({ length: ROUNDS }, () => meteredJob(client, watched)));
  const [unwatched, watched] = await Promise.all([jobs(false), jobs(true)]);
  return { unwatched, watched };
}

async function meteredJob(client: Client, watched: boolean): Promise<Metered> {
  const id = await client.submit({ prompt: promptFor(STREAM) });
  const lastAlarm = sleep(LAST_ALARM_MS);
  let events = 0;
  if (watched) await client.follow(id, () => (events += 1));
  await lastAlarm;
  if (!watched && (await client.read(id)).status !== "completed") throw new Error(`${id} goes on`);
  const object = await objectName("dev", id);
  const bill = JSON.parse(await client.ask({ path: `/api/bill?object=${object}` }, 200)) as Bill;
  return { bill, items: itemise(bill, events) };
}

export function costTables({ unwatched, watched }: Costs): string[] {
  const used = new Samples();
  const dollars = new Samples();
  for (const [who, jobs] of [
    ["unwatched", unwatched],
    ["watched", watched],
  ] as const) {
    for (const { bill, items } of jobs) {
      used.add(`${who} calls`, sum(bill.calls));
      used.add(`${who} rows`, sum(bill.writes));
      used.add(`${who} queue`, bill.sent + 2 * bill.delivered);
      for (const { name, dollars: price } of items) dollars.add(`${who} ${name}`, price);
      dollars.add(
        `${who} total`,
        items.reduce((total, item) => total + item.dollars, 0),
      );
    }
  }
  const usedRow = (heading: string, name: string, details: (bill: Bill) => string) => [
    heading,
    used.show(`unwatched ${name}`),
    detailsOf(unwatched, details),
    used.show(`watched ${name}`),
    detailsOf(watched, details),
  ];
  const names = unwatched[0]?.items.map(({ name, how }) => ({ name, how })) ?? [];
  return [
    table(
      [`One job, ${STREAM_SECONDS} s of stream`, "unwatched", "namely", "one SSE reader", "namely"],
      [
        usedRow("calls of its object", "calls", ({ calls }) => listed(calls)),
        usedRow("rows written", "rows", ({ writes }) => listed(writes)),
        usedRow("queue operations", "queue", ({ sent, delivered }) =>
          listed({ written: sent, read: delivered, deleted: delivered }),
        ),
      ],
    ),
    table(
      ["Item", "unwatched", "$ / M jobs", "one SSE reader", "$ / M jobs", "how known"],
      [
        ...names.map(({ name, how }) => [
          name,
          amount(unwatched, name),
          dollars.show(`unwatched ${name}`),
          amount(watched, name),
          dollars.show(`watched ${name}`),
          how,
        ]),
        ["**total**", "", dollars.show("unwatched total"), "", dollars.show("watched total"), ""],
      ],
    ),
  ];
}

/** Of the first job; the figure beside it shows how far the others differ. */
function detailsOf(jobs: Metered[], details: (bill: Bill) => string): string {
  const [first] = jobs;
  return first === undefined ? "" : details(first.bill);
}

function listed(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}

function amount(jobs: Metered[], name: string): string {
  const amounts = jobs.map(({ items }) => items.find((item) => item.name === name)?.amount ?? 0);
  return rounded(median(amounts));
}
