import { beforeEach, describe, expect, it, vi } from "vitest";

import { Listener } from "../../src/http/socket-listener.ts";
import { begun, Client, logsOf, opened } from "./socket-client.ts";

describe("a socket that follows many jobs", () => {
  it("follows a hundred, and is refused the next until one of them has ended or is left", async () => {
    const logs = logsOf(102);
    const { client, session, subscribe } = opened({ logs });
    for (const id of [...logs.keys()].slice(0, 100)) subscribe(id);
    await client.until(() => client.ofType("job_delta").length === 100);
    expect(client.ofType("subscribed")).toHaveLength(100);
    subscribe("job-100");
    await client.until(() => client.ofType("error").length === 1);
    expect(client.ofType("error")).toEqual([
      { type: "error", job_id: "job-100", message: "At most 100 jobs can be followed at once" },
    ]);
    // One of those it has may be asked for again.
    subscribe("job-0");
    await client.until(() => client.ofType("subscribed").length === 101);
    logs.get("job-7")?.end();
    await client.until(() => client.ofType("job_completed").length === 1);
    await client.until(() => {
      subscribe("job-100");
      return client.told.some(({ type, job_id }) => type === "subscribed" && job_id === "job-100");
    });
    session.obey({ type: "unsubscribe", job_id: "job-8" });
    await logs.get("job-8")?.left();
    subscribe("job-101");
    await client.until(() => client.told.at(-1)?.type === "job_delta");
    session.end();
    for (const log of logs.values()) await log.left();
  });

  it("is told nothing more of a job once it is told that it has left it", async () => {
    const logs = logsOf(2);
    const { client, session, subscribe } = opened({ logs });
    subscribe("job-0");
    subscribe("job-1");
    await client.until(() => client.ofType("job_delta").length === 2);
    session.obey({ type: "unsubscribe", job_id: "job-0" });
    logs.get("job-0")?.say(5);
    logs.get("job-1")?.say(1);
    await client.until(() => client.ofType("job_delta").length === 3);
    expect(client.told.at(-2)).toEqual({ type: "unsubscribed", job_id: "job-0" });
    session.obey({ type: "unsubscribe", job_id: "never-followed" });
    await client.until(() => client.ofType("unsubscribed").length === 2);
  });

  it("is told that a job is unknown, and is asked to come again where one cannot be reached", async () => {
    const logs = logsOf(1);
    const { client, subscribe } = opened({ logs });
    subscribe("none");
    await client.until(() => client.told.length === 1);
    expect(client.told).toEqual([{ type: "error", job_id: "none", message: "Job not found" }]);
    logs.get("job-0")?.breakDown();
    subscribe("job-0");
    await client.until(() => client.closed !== null);
    expect(client.closed).toBe(1012);
  });

  it("is asked to come again where a job is lost in mid-story, and has the rest then", async () => {
    const logs = logsOf(1);
    const { client, subscribe } = opened({ logs });
    subscribe("job-0");
    await client.until(() => client.ofType("job_delta").length === 1);
    await logs.get("job-0")?.attached();
    logs.get("job-0")?.breakDown();
    await vi.waitFor(() => expect(client.closed).toBe(1012), { timeout: 10_000 });
    logs.set("job-0", begun(3));
    const again = opened({ logs });
    again.subscribe("job-0", 1);
    await again.client.until(() => again.client.ofType("job_delta").length === 2);
  }, 15_000);

  it("is told that a job it follows was deleted", async () => {
    const logs = logsOf(1);
    const { client, subscribe } = opened({ logs });
    subscribe("job-0");
    await client.until(() => client.ofType("job_delta").length === 1);
    await logs.get("job-0")?.attached();
    logs.get("job-0")?.delete();
    await client.until(() => client.ofType("error").length === 1);
    expect(client.ofType("error")).toEqual([
      { type: "error", job_id: "job-0", message: "Job not found" },
    ]);
  });

  it("may follow others once it has left what it never heard of", async () => {
    const logs = logsOf(1);
    const { client, session, subscribe } = opened({ logs });
    for (let at = 0; at < 150; at++) {
      subscribe(`none-${at}`);
      session.obey({ type: "unsubscribe", job_id: `none-${at}` });
    }
    subscribe("job-0");
    await client.until(() => client.ofType("job_delta").length === 1);
    expect(client.ofType("error").filter(({ message }) => message?.includes("100"))).toEqual([]);
  });
});

describe("a client that takes nothing", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"] });
    return () => vi.useRealTimers();
  });

  it("has what it does not take wait in the log, and is told it once it does", async () => {
    const logs = logsOf(3);
    const { client, subscribe } = opened({ logs });
    client.buffered = 300_000;
    for (const id of logs.keys()) subscribe(id);
    await client.until(() => client.ofType("subscribed").length === 1);
    logs.forEach((log) => log.say(20));
    expect(client.ofType("job_delta")).toEqual([]);
    client.buffered = 0;
    await client.until(() => client.ofType("job_delta").length === 63);
  });

  it("is cut with 1013 once it has taken nothing for fifteen seconds, and nobody follows for it", async () => {
    const logs = logsOf(2);
    const { client, subscribe } = opened({ logs });
    client.buffered = 300_000;
    for (const id of logs.keys()) subscribe(id);
    await client.until(() => client.ofType("subscribed").length === 1);
    // Slow is not stuck.
    for (let taken = 1; taken <= 3; taken++) {
      vi.setSystemTime(Date.now() + 10_000);
      client.buffered -= 1;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(client.closed).toBeNull();
    vi.setSystemTime(Date.now() + 15_001);
    await client.until(() => client.closed !== null);
    expect(client.closed).toBe(1013);
    for (const log of logs.values()) await log.left();
  });

  it("may ping while it takes what is large, and not without end", async () => {
    const client = new Client();
    new Listener(client.server, { obey: () => true, over: () => {} }).listen();
    for (let large = 1; large <= 3; large++) {
      client.buffered = 300_000;
      for (let ping = 0; ping < 30; ping++) client.say("ping");
      await client.until(() => client.told.length === 31 * large - 1);
      client.buffered = 0;
      client.say("ping");
      await client.until(() => client.told.length === 31 * large);
    }
    client.buffered = 300_000;
    for (let ping = 0; ping < 31; ping++) client.say("ping");
    await client.until(() => client.closed !== null);
    expect([client.closed, client.told.length]).toEqual([1013, 123]);
  });
});

/** A client that is listened to, and what of it was to be carried out. */
function heard() {
  const client = new Client();
  const obeyed: string[] = [];
  const obey = (text: string) => {
    obeyed.push(text);
    return text === "sense";
  };
  new Listener(client.server, { obey, over: () => {} }).listen();
  return { client, obeyed };
}

describe("what a client says", () => {
  const ERROR = { type: "error", message: "Invalid message format" };

  it("is answered with pong where it is ping, however often, and else carried out", async () => {
    const { client, obeyed } = heard();
    for (let ping = 0; ping < 100; ping++) client.say("ping");
    await client.until(() => client.ofType("pong").length === 100);
    client.say("sense");
    await client.until(() => obeyed.length === 1);
    expect(client.told).toHaveLength(100);
  });

  it.each([
    ["nonsense", "subscribe me"],
    ["bytes", new ArrayBuffer(8)],
    ["64 KiB of text to the byte", "é".repeat(32_768)],
    ["64 KiB of bytes", new ArrayBuffer(65_536)],
  ])("is an invalid message where it is %s, and the socket stays", async (_what, message) => {
    const { client } = heard();
    client.say(message);
    await client.until(() => client.told.length === 1);
    expect([client.told, client.closed]).toEqual([[ERROR], null]);
  });

  it.each([
    ["text", "é".repeat(32_769)],
    ["bytes", new ArrayBuffer(65_537)],
  ])("closes with 1009 where it is more than 64 KiB of %s", async (_what, message) => {
    const { client } = heard();
    client.say(message);
    await client.until(() => client.closed !== null);
    expect([client.closed, client.told]).toEqual([1009, []]);
  });

  it("closes with 1008 at the 31st message within ten seconds, and may be thirty for ever", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { client } = heard();
    for (let round = 1; round <= 3; round++) {
      for (let message = 0; message < 30; message++) client.say("hello");
      await client.until(() => client.told.length === 30 * round);
      vi.setSystemTime(Date.now() + 10_000);
    }
    expect(client.closed).toBeNull();
    for (let message = 0; message < 31; message++) client.say("hello");
    await client.until(() => client.closed !== null);
    expect([client.closed, client.told.length]).toEqual([1008, 120]);
    vi.useRealTimers();
  });
});
