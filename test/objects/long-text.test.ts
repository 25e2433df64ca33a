import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";

import { createApp } from "../../src/http/app.ts";
import { SocketSession } from "../../src/http/socket-session.ts";
import { objectName } from "../../src/ids.ts";
import type { LogPage } from "../../src/job/job-rpc.ts";
import { Follower } from "./follower.ts";
import {
  ANSWER,
  holdQueues,
  job,
  leased,
  lines,
  newName,
  page,
  partOf,
  REPORT,
  REQUEST,
  specOf,
} from "./support.ts";

holdQueues();

const app = createApp();
/** What JSON has to say otherwise, and what takes one to four bytes. */
const PART = 'He said: "\\no".\n\t\u0001\u2028 é 漢 🌈 </script> '.repeat(1_500);
const PARTS = 8;

/** A job of this id whose first attempt failed, and that has said all but its last word. */
async function begun(id: string): Promise<{ name: string; end: () => Promise<unknown> }> {
  const name = await objectName("dev", id);
  await job(name).submit(specOf({ id, tenant: "dev" }), REQUEST);
  const { token } = await leased(name);
  for (let part = 0; part < PARTS; part++) await job(name).append(token, partOf(part, PART));
  return { name, end: () => job(name).complete(token, partOf(PARTS, "The end."), ANSWER, REPORT) };
}

async function ask(id: string, query: string, accept: string): Promise<string> {
  const url = `https://api.example/api/jobs/${id}/events?${query}`;
  const request = new Request(url, { headers: { accept } });
  return (await app.fetch(request, env, createExecutionContext())).text();
}

/** The frames of an event stream, without what is no event. */
function eventsIn(stream: string): string[] {
  return stream.split("\n\n").filter((frame) => frame.startsWith("id: "));
}

/** A page as a Worker asks for it that can put the text in again. */
async function pageApart(name: string, after: number): Promise<LogPage> {
  const found = await job(name).log(after, true);
  if (found.type !== "found") throw new Error(`the job is ${found.type}`);
  return found.value;
}

describe("the end of a job that has said much", () => {
  let name: string;
  let log: string[];
  let last: number;
  beforeAll(async () => {
    const story = await begun("said-much");
    ({ name } = story);
    await story.end();
    // As a Worker of the last release is told it: whole.
    log = await lines(name);
    last = log.length;
    expect(JSON.parse(log.at(-1) ?? "")).toMatchObject({
      result: { content: `${PART.repeat(PARTS)}The end.` },
    });
  });

  it("leaves the job's object without its text, and says where that is and belongs", async () => {
    const { events, ended } = await pageApart(name, last - 1);
    const json = events[0]?.json ?? "";
    expect([events.length, events[0]?.seq, ended]).toEqual([1, last, true]);
    expect(json.length).toBeLessThan(1_000);
    expect(events[0]?.text).toEqual({
      after: log.findIndex((line) => line.startsWith('{"type":"started"')) + 1,
      at: json.indexOf('""') + 1,
      bytes: new TextEncoder().encode(`${PART.repeat(PARTS)}The end.`).byteLength,
    });
  });

  it("is whole where it is short, for everybody", async () => {
    const short = newName();
    await job(short).submit(specOf(), REQUEST);
    const { token } = await leased(short);
    await job(short).complete(token, partOf(0, "x".repeat(65_536)), ANSWER, REPORT);
    expect((await pageApart(short, 0)).events).toEqual((await page(short, 0)).events);
  });

  it("is, to the byte, what it would be, in an event stream from anywhere", async () => {
    const whole = log.map((line, at) => `id: ${at + 1}\ndata: ${line}`);
    for (const after of [0, 3, last - 1]) {
      const stream = await ask("said-much", `after=${after}`, "text/event-stream");
      expect(eventsIn(stream)).toEqual(whole.slice(after));
    }
  });

  it("is, to the byte, what it would be, in pages", async () => {
    const seen: string[] = [];
    for (let more = true; more;) {
      const after = seen.length;
      const text = await ask("said-much", `after=${after}`, "application/json");
      const told = await page(name, after);
      ({ more } = told);
      const own = told.events.map(({ json }) => json);
      expect(text).toBe(
        `{"job_id":"said-much","status":"completed","last_seq":${last},"has_more":${more},"events":[${own.join(",")}]}`,
      );
      seen.push(...own);
    }
    expect(seen).toEqual(log);
  });

  it("is one message, to the byte, on a socket on many jobs", async () => {
    const { 0: client, 1: server } = new WebSocketPair();
    client.accept();
    server.accept();
    Object.defineProperty(server, "bufferedAmount", { get: () => 0 });
    const told: string[] = [];
    client.addEventListener("message", ({ data }) => told.push(String(data)));
    const ports = { mayName: () => true, job: () => Promise.resolve(job(name)), maxBacklog: 1_000 };
    const session = new SocketSession(server, ports);
    session.obey({ type: "subscribe", job_id: "said-much" });
    await vi.waitFor(() => expect(told).toHaveLength(last + 1), { timeout: 5_000 });
    const prefixed = log.map((line) => line.replace('{"type":"', '{"type":"job_'));
    expect(told).toEqual(['{"type":"subscribed","job_id":"said-much"}', ...prefixed]);
  });
});

describe("the end of a job that says much, to those who are there", () => {
  it("is sent to no socket of the object's: it closes, and who waits for a change hears of one", async () => {
    const { name, end } = await begun("watched");
    const { lastSeq } = await page(name, 0);
    const follower = await Follower.of(name, `format=sse&after=${lastSeq}`);
    const waiter = await Follower.of(name, `format=poll&after=${lastSeq}`);
    await end();
    expect([await follower.end(), await waiter.end()]).toEqual([1000, 1000]);
    const rest = (await lines(name, lastSeq)).map(
      (line, at) => `id: ${lastSeq + 1 + at}\ndata: ${line}\n\n`,
    );
    expect(rest.at(-1)).toContain('"completed"');
    expect(follower.frames).toEqual(rest.slice(0, -1));
    expect(waiter.frames).toEqual(["changed"]);
  });

  it("is in the streams of all who were reading, to the byte", async () => {
    const { name, end } = await begun("read-live");
    const { lastSeq } = await page(name, 0);
    const streams = [0, lastSeq, 0, lastSeq].map((after) =>
      ask("read-live", `after=${after}`, "text/event-stream"),
    );
    await vi.waitFor(async () => {
      expect(await job(name).pulse("none", partOf(0, ""))).toMatchObject({ watched: true });
    });
    await end();
    const whole = (await lines(name)).map((line, at) => `id: ${at + 1}\ndata: ${line}`);
    const [all, rest, allToo, restToo] = (await Promise.all(streams)).map(eventsIn);
    expect([all, allToo]).toEqual([whole, whole]);
    expect([rest, restToo]).toEqual([whole.slice(lastSeq), whole.slice(lastSeq)]);
  });

  it("is read in pages by who attaches further behind than a page", async () => {
    const { name } = await begun("far-behind");
    const follower = await Follower.of(name, "format=sse&after=0");
    expect(await follower.end()).toBe(1000);
    const first = await page(name, 0);
    expect(first.more).toBe(true);
    expect(follower.frames).toHaveLength(first.events.length);
  });
});
