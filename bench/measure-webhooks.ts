import { setTimeout as sleep } from "node:timers/promises";

import type { WebhookTested } from "../src/schema/webhook.ts";
import { Client } from "./client.ts";
import { percentile, scaled, table, type Samples } from "./figures.ts";
import { inParallel } from "./load.ts";
import { warmUp } from "./measure-requests.ts";
import { startProduct, startReceiver, type Server } from "./processes.ts";
import { promptFor } from "./prompt.ts";
import { delaysOf, takenAt, type Taken } from "./taken.ts";

const GENTLE = { jobs: scaled(100, 10), everyMs: 200 };
const BURST = scaled(1_000, 20);
const IN_FLIGHT = 50;
const LOOP = { jobs: scaled(500, 2 * IN_FLIGHT), modelMs: 200 };

export const WEBHOOKS_TITLE = "Webhooks";

/** One round. What one part leaves behind is no part of the next: each has a product of its own. */
export async function measureWebhooks(
  provider: Server,
  round: number,
  samples: Samples,
): Promise<void> {
  await using quick = await startReceiver();
  await using other = await startReceiver();
  const origins = { WEBHOOK_ALLOWED_ORIGINS: `${quick.url},${other.url}` };
  const start = async () => {
    const product = await startProduct(provider, { vars: origins });
    await warmUp(product.url);
    await deliverWarmUp(product.url, quick.url);
    return product;
  };
  {
    await using product = await start();
    await measureGentle(product.url, quick.url, samples);
  }
  {
    await using product = await start();
    await measureBurst(product.url, quick.url, samples);
  }
  const kinds = round % 2 === 0 ? KINDS.toReversed() : KINDS;
  for (const { name, path } of kinds) {
    await using product = await start();
    const hooks = [`${quick.url}/beside-${name}-${round}`, `${other.url}${path}-${round}`] as const;
    await measureLoop(name, product.url, hooks, samples);
  }
  samples.add("ratio", last(samples, "hangs rate") / last(samples, "quick rate"));
}

/** What the receiver of the other half of the jobs does. */
const KINDS = [
  { name: "quick", path: "/quick" },
  { name: "hangs", path: "/hang" },
];

function last(samples: Samples, name: string): number {
  return samples.of(name).at(-1) ?? 0;
}

async function deliverWarmUp(url: string, receiver: string): Promise<void> {
  using client = new Client(url);
  const hook = `${receiver}/warm-up-${new URL(url).port}`;
  await inParallel(IN_FLIGHT, scaled(200, 20), async () => void (await submit(client, hook)));
  await takenAt(hook, scaled(200, 20));
}

function submit(client: Client, webhook_url: string, first = 0): Promise<string> {
  return client.submit({ prompt: promptFor({ tokens: 20, first }), webhook_url });
}

function addDelays(samples: Samples, name: string, delays: number[]): void {
  samples.add(`${name} p50`, percentile(delays, 0.5));
  samples.add(`${name} p99`, percentile(delays, 0.99));
}

async function measureGentle(url: string, receiver: string, samples: Samples): Promise<void> {
  using client = new Client(url);
  const hook = `${receiver}/gentle-${new URL(url).port}`;
  const posts: number[] = [];
  for (let at = 0; at < GENTLE.jobs; at++) {
    await submit(client, hook);
    await sleep(GENTLE.everyMs);
    posts.push(await postAlone(client, `${receiver}/alone`));
  }
  addDelays(samples, "gentle", delaysOf(await takenAt(hook, GENTLE.jobs)));
  addDelays(samples, "alone", posts);
}

async function postAlone(client: Client, url: string): Promise<number> {
  const body = JSON.stringify({ url });
  const ask = { method: "POST", path: "/api/webhook-test", body };
  const tested = JSON.parse(await client.ask(ask, 200)) as WebhookTested;
  if (!tested.success) throw new Error(`a test delivery failed: ${tested.error}`);
  return tested.latency_ms;
}

/** Jobs as fast as they can be submitted; and then, with nothing else to do, all their events once more. */
async function measureBurst(url: string, receiver: string, samples: Samples): Promise<void> {
  using client = new Client(url);
  const hook = `${receiver}/burst-${new URL(url).port}`;
  const startedAt = Date.now();
  await inParallel(IN_FLIGHT, BURST, async () => void (await submit(client, hook)));
  const taken = await takenAt(hook, BURST);
  addDelays(samples, "burst", delaysOf(taken));
  addRate(samples, "burst", startedAt, taken);
  const askedAt = new Map<string, number>();
  const replayingAt = Date.now();
  await inParallel(IN_FLIGHT, BURST, async (at) => {
    const event = taken[at];
    if (event === undefined) return;
    const { jobId, deliveryId } = event;
    askedAt.set(deliveryId, Date.now());
    const path = `/api/jobs/${jobId}/deliveries/${deliveryId}/replay`;
    await client.ask({ method: "POST", path }, 202);
  });
  samples.add("replay asked", (Date.now() - replayingAt) / 1_000);
  const again = await takenAt(hook, BURST, replayingAt);
  const delays = again.map(({ deliveryId, at }) => at - (askedAt.get(deliveryId) ?? 0));
  addDelays(samples, "replay", delays);
  addRate(samples, "replay", replayingAt, again);
}

function addRate(samples: Samples, name: string, startedAt: number, taken: Taken[]): void {
  const seconds = (Math.max(...taken.map(({ at }) => at)) - startedAt) / 1_000;
  samples.add(`${name} seconds`, seconds);
  samples.add(`${name} rate`, taken.length / seconds);
}

/** Keeps jobs going: each is submitted, followed to its end, and the next one begun. Hooks take turns. */
async function measureLoop(
  name: string,
  url: string,
  hooks: readonly [quick: string, other: string],
  samples: Samples,
): Promise<void> {
  using client = new Client(url);
  const startedAt = performance.now();
  await inParallel(IN_FLIGHT, LOOP.jobs, async (at) => {
    await client.follow(await submit(client, at % 2 === 0 ? hooks[0] : hooks[1], LOOP.modelMs));
  });
  samples.add(`${name} rate`, (LOOP.jobs * 1_000) / (performance.now() - startedAt));
  addDelays(samples, name, delaysOf(await takenAt(hooks[0], Math.ceil(LOOP.jobs / 2))));
}

export function webhookTables(samples: Samples): string[] {
  const spread = (name: string) => [samples.show(`${name} p50`), samples.show(`${name} p99`)];
  const rate = (name: string) => [samples.show(`${name} seconds`), samples.show(`${name} rate`)];
  return [
    table(
      ["From a job's end to its webhook's arrival", "p50 ms", "p99 ms"],
      [
        [`one job every ${GENTLE.everyMs} ms`, ...spread("gentle")],
        ["one POST alone, for comparison", ...spread("alone")],
      ],
    ),
    table(
      [
        `${BURST} deliveries to one quick receiver`,
        "seconds",
        "a second",
        "delay p50 ms",
        "delay p99 ms",
      ],
      [
        ["of jobs as they end", ...rate("burst"), ...spread("burst")],
        ["replays, from their request", ...rate("replay"), ...spread("replay")],
        ["the requests alone", samples.show("replay asked"), "–", "–", "–"],
      ],
    ),
    table(
      [`${LOOP.jobs} jobs, ${IN_FLIGHT} in flight`, "both quick", "the other hangs"],
      [
        ["jobs completed a second", samples.show("quick rate"), samples.show("hangs rate")],
        ["ratio", "1", samples.show("ratio")],
        ["delay of the quick one's, p50 ms", samples.show("quick p50"), samples.show("hangs p50")],
        ["delay of the quick one's, p99 ms", samples.show("quick p99"), samples.show("hangs p99")],
      ],
    ),
  ];
}
