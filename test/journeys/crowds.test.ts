import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createClient } from "../../lib/client.ts";
import { objectName } from "../../src/ids.ts";
import type { EventPage, JobEvent } from "../../src/schema/event.ts";
import { expectJson, isTerminal } from "../support/api.ts";
import { SocketFollower } from "../support/follow-socket.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

const CROWD = 1_000;
/** Ten to fifty seconds each on two idle cores; a busy machine takes a multiple. */
const TIMEOUT_MS = 240_000;
/** At once on their way: a laptop's backlog of connections is no part of what is shown. */
const AT_ONCE = 50;
/** What the product may take for the crowd beside what it takes anyway. */
const MAX_GROWTH_BYTES = 512 * 1_048_576;

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

/** All of it, so many at a time. */
async function each<T, R>(items: T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(ask))));
  }
  return results;
}

const crowd = Array.from({ length: CROWD }, (_, at) => at);

function follow(id: string, after = 0, url = journey.api.url): Promise<SocketFollower> {
  return SocketFollower.open(url, `/ws/jobs/${id}?after=${after}`);
}

/** Throws the job's object out of memory, unless it hibernates already. */
async function evict(id: string): Promise<void> {
  const name = await objectName("dev", id);
  const worker = journey.product.harness.getWorker();
  const evicted = worker.evictDurableObject("JobObject", { name, webSockets: "hibernate" });
  await evicted.catch((error: Error) => expect(error.message).toContain("not currently running"));
}

async function waitingJob(): Promise<string> {
  return (await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 600 })).job_id;
}

/** Memory of the runtimes that this process has started, in bytes. */
async function memoryOfProduct(): Promise<number> {
  const statuses = await Promise.all(
    (await readdir("/proc"))
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readFile(`/proc/${pid}/status`, "utf8").catch(() => "")),
  );
  return statuses
    .filter(
      (text) => text.includes(`\nPPid:\t${process.pid}\n`) && text.startsWith("Name:\tworkerd"),
    )
    .reduce((sum, text) => sum + Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1_024, 0);
}

describe("a thousand sockets", { timeout: TIMEOUT_MS }, () => {
  it("on one job stay while its object is evicted, and the next event reaches them all", async () => {
    const id = await waitingJob();
    const sockets = await each(crowd, () => follow(id));
    await Promise.all(sockets.map((socket) => socket.frame((frame) => frame.includes("queued"))));
    await evict(id);
    for (const { socket } of sockets) expect(socket.readyState).toBe(socket.OPEN);
    await journey.api.cancel(id);
    const closed = await Promise.all(sockets.map((socket) => socket.closed));
    expect(new Set(closed)).toEqual(new Set([1000]));
    const log = await journey.api.log(id);
    for (const { events } of sockets) expect(events).toEqual(log);
  });

  it("on as many jobs stay while all the objects are evicted, and each is told of its own", async () => {
    const ids = await each(crowd, waitingJob);
    const sockets = await each(ids, (id) => follow(id));
    await Promise.all(sockets.map((socket) => socket.frame((frame) => frame.includes("queued"))));
    await each(ids, evict);
    for (const { socket } of sockets) expect(socket.readyState).toBe(socket.OPEN);
    await each(ids, (id) => journey.api.cancel(id));
    const closed = await Promise.all(sockets.map((socket) => socket.closed));
    expect(new Set(closed)).toEqual(new Set([1000]));
    for (const [at, { events }] of sockets.entries()) {
      expect(events.map(({ type }) => type)).toEqual(["queued", "cancelled"]);
      expect(new Set(events.map(({ job_id }) => job_id))).toEqual(new Set([ids[at]]));
    }
  });
});

describe("a storm of a thousand clients", { timeout: TIMEOUT_MS }, () => {
  it("F35: that are cut at once and come back at once all have the whole log, in bounded memory", async () => {
    const proxy = await CuttingProxy.to(journey.api.url);
    const prompt = freshPrompt("[tokens=40 every=500]");
    const { job_id } = await journey.api.submit({ prompt });
    const sockets = await each(crowd, () => follow(job_id, 0, proxy.url));
    const before = await memoryOfProduct();
    expect(before).toBeGreaterThan(0);
    await journey.api.firstEvent(job_id, ({ type }) => type === "delta");
    proxy.cut();
    await Promise.all(sockets.map(({ closed }) => closed));
    const back = await Promise.all(sockets.map(({ frames }) => follow(job_id, frames.length)));
    const growth = (await memoryOfProduct()) - before;
    await Promise.all(back.map(({ closed }) => closed));
    await proxy.close();
    const log = await journey.api.log(job_id);
    expect(log.at(-1)?.type).toBe("completed");
    for (const [at, { events }] of sockets.entries()) {
      expect([...events, ...(back[at]?.events ?? [])]).toEqual(log);
    }
    expect(growth).toBeLessThan(MAX_GROWTH_BYTES);
  });
});

/** Some who read by each transport are there as the job ends, and as many come after. */
const READERS_OF_EACH = 6;

describe("an answer of 4 MB", { timeout: TIMEOUT_MS }, () => {
  it("reaches fifty readers at once whole, by every transport, in bounded memory", async () => {
    const prompt = freshPrompt();
    // Random, so that no compression makes little of it on its way.
    const tokens = Array.from({ length: 64 }, () => randomBytes(49_152).toString("base64"));
    journey.script(prompt, () => ({ kind: "answer", tokens, firstAfterMs: 3_000 }));
    const { job_id } = await journey.api.submit({ prompt });
    const client = createClient({ baseUrl: journey.api.url });
    const transports = [
      () => digestOf(journey.api.follow(job_id)),
      () => digestOf(eventsBySocket(job_id)),
      () => digestOf(eventsByPages(job_id)),
      () => digestOf(client.stream(job_id)),
    ];
    const readers = transports.flatMap((read) =>
      Array.from({ length: READERS_OF_EACH }, () => read),
    );
    const before = await memoryOfProduct();
    const live = readers.map((read) => read());
    await journey.api.readUntil(job_id, ({ status }) => status === "completed", {
      timeout: 60_000,
    });
    const late = readers.map((read) => read());
    const digests = new Set(await Promise.all([...live, ...late]));
    const growth = (await memoryOfProduct()) - before;
    const { result } = await journey.api.read(job_id);
    expect(result?.content === tokens.join("")).toBe(true);
    expect([...digests]).toEqual([await digestOf(journey.api.follow(job_id))]);
    expect(growth).toBeLessThan(MAX_GROWTH_BYTES);
  });
});

/** Of a whole log, whose end has all its text. */
async function digestOf(log: AsyncIterable<JobEvent>): Promise<string> {
  const hash = createHash("sha256");
  let text = "";
  let end: JobEvent | undefined;
  let seq = 0;
  for await (const event of log) {
    expect(event.seq).toBe(++seq);
    hash.update(JSON.stringify(event));
    if (event.type === "delta") text += event.delta;
    end = event;
  }
  expect(end?.type === "completed" && end.result.content === text).toBe(true);
  return hash.digest("hex");
}

async function* eventsBySocket(id: string): AsyncGenerator<JobEvent> {
  const socket = await follow(id);
  expect(await socket.closed).toBe(1000);
  yield* socket.events as JobEvent[];
}

async function* eventsByPages(id: string): AsyncGenerator<JobEvent> {
  const headers = { accept: "application/json" };
  let after = 0;
  for (;;) {
    const path = `/api/jobs/${id}/events?after=${after}&wait=60`;
    const { events } = await expectJson<EventPage>(await journey.api.fetch(path, { headers }), 200);
    yield* events;
    after += events.length;
    if (events.some(isTerminal)) return;
  }
}
