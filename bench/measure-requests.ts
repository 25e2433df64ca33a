import { randomUUID } from "node:crypto";

import { Client } from "./client.ts";
import { scaled, table, type Samples } from "./figures.ts";
import { inParallel, load, type Ask } from "./load.ts";
import { promptFor } from "./prompt.ts";

const LEVELS = [
  { connections: 1, requests: scaled(100) },
  { connections: 16, requests: scaled(640) },
  { connections: 64, requests: scaled(640) },
];

/** A prompt of usual length. The job is not due before the benchmark has ended, so nothing runs. */
const SUBMISSION = JSON.stringify({
  prompt: "Why is the sky blue? ".repeat(10),
  delay_seconds: 86_400,
});

type Kind = { name: string; expected: number; ask: (at: number) => Ask };

const NOTHING: Kind = {
  name: "404 of the Worker",
  expected: 404,
  ask: () => ({ path: "/api/nothing" }),
};
const UNKNOWN: Kind = {
  name: "unknown job",
  expected: 404,
  ask: () => ({ path: `/api/jobs/${randomUUID()}` }),
};
const SUBMIT: Kind = {
  name: "submit",
  expected: 202,
  ask: () => ({ path: "/api/jobs", method: "POST", body: SUBMISSION }),
};
const poll = (ids: string[]): Kind => ({
  name: "poll",
  expected: 200,
  ask: (at) => ({ path: `/api/jobs/${ids[at % ids.length]}` }),
});

const FLOORS = [NOTHING.name, UNKNOWN.name] as const;
const NAMES = [...FLOORS, SUBMIT.name, "poll"];

/** One round of submissions and polls beside what they cannot be faster than. */
export async function measureRequests(url: string, samples: Samples): Promise<void> {
  const ids = await finishedJobs(url, 64);
  for (const level of LEVELS) {
    const p50s = new Map<string, number>();
    for (const { name, ...kind } of [NOTHING, UNKNOWN, SUBMIT, poll(ids)]) {
      const { p50, p99, perSecond } = await load(url, { ...level, ...kind });
      const at = `${name} ${level.connections}`;
      samples.add(`${at} p50`, p50);
      samples.add(`${at} p99`, p99);
      samples.add(`${at} rate`, perSecond);
      p50s.set(name, p50);
    }
    for (const [name, p50] of p50s) {
      for (const floor of FLOORS) {
        samples.add(`${name} ${level.connections} over ${floor}`, p50 / (p50s.get(floor) ?? NaN));
      }
    }
  }
}

async function finishedJobs(url: string, count: number): Promise<string[]> {
  using client = new Client(url);
  const ids: string[] = [];
  await inParallel(16, count, async () => {
    const id = await client.submit({ prompt: promptFor({ tokens: 20 }) });
    await client.follow(id);
    ids.push(id);
  });
  return ids;
}

/** Makes a product that has just started as quick as it gets. */
export async function warmUp(url: string): Promise<void> {
  const plan = { connections: 16, requests: scaled(400, 20) };
  await finishedJobs(url, scaled(200, 20));
  for (const kind of [NOTHING, UNKNOWN, SUBMIT]) await load(url, { ...plan, ...kind });
}

export function requestTable(samples: Samples): string {
  const columns = ["p50", "p99", "rate", ...FLOORS.map((floor) => `over ${floor}`)];
  const headings = ["Request", "Connections", "p50 ms", "p99 ms", "per second"];
  return table(
    [...headings, ...FLOORS.map((floor) => `p50 ÷ ${floor}`)],
    perRequest((at) => columns.map((column) => samples.show(`${at} ${column}`))),
  );
}

/** A row for each request and number of connections, whose cells `cells` gives. */
export function perRequest(cells: (at: string) => string[]): string[][] {
  return NAMES.flatMap((name) =>
    LEVELS.map(({ connections }) =>
      [name, `${connections}`].concat(cells(`${name} ${connections}`)),
    ),
  );
}
