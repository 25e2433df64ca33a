import { setTimeout as sleep } from "node:timers/promises";

import { note, rounded, rounds, scaled, Samples, table } from "./figures.ts";
import { measureRequests, perRequest } from "./measure-requests.ts";
import { measureThroughput, perModel, runJobs } from "./measure-throughput.ts";

const BEHIND = scaled(10_000, 100);
/** A finished job's alarm fires once more, 30 s after it was submitted. */
const SETTLE_MS = scaled(35_000, 1_000);

/** Requests and throughput again, in a product that has many finished jobs behind it. */
export async function measureBacklog(url: string): Promise<Samples> {
  note(`backlog: making ${BEHIND} finished jobs`);
  await runJobs(url, BEHIND, { tokens: 1 });
  await sleep(SETTLE_MS);
  const samples = new Samples();
  for (const _ of rounds("backlog")) {
    await measureRequests(url, samples);
    await measureThroughput(url, samples);
  }
  return samples;
}

export function backlogTables(fresh: Samples, loaded: Samples): string[] {
  const ratio = (name: string) => rounded(loaded.median(name) / fresh.median(name));
  const columns = [
    ["p50", "p50 ms"],
    ["p99", "p99 ms"],
    ["rate", "per second"],
  ] as const;
  return [
    table(
      ["Request", "Connections", ...columns.flatMap(([, heading]) => [heading, "÷ fresh"])],
      perRequest((at) =>
        columns.flatMap(([name]) => [loaded.show(`${at} ${name}`), ratio(`${at} ${name}`)]),
      ),
    ),
    table(
      ["50 jobs in flight", "seconds", "÷ fresh"],
      perModel((name) => [loaded.show(`${name} seconds`), ratio(`${name} seconds`)]),
    ),
  ];
}

export const BACKLOG_TITLE = `With ${BEHIND.toLocaleString("en-US")} finished jobs behind`;
