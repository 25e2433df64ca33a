import { describe, expect, it, vi } from "vitest";

import type { ScriptedLog } from "./scripted-log.ts";
import { logsOf, opened } from "./socket-client.ts";

const FULL = 300_000;
/** Frames of a scripted log, of 24 or 25 characters each, that together are just beyond the backlog of `opened`. */
const [SOME, THE_REST] = [20, 21];

function pagesOf(logs: Map<string, ScriptedLog>): number {
  return [...logs.values()].reduce((sum, { pages }) => sum + pages, 0);
}

describe("a client with a hundred jobs that takes nothing", () => {
  it("has one page read for it in all, and the others in turn once it takes that", async () => {
    const logs = logsOf(100);
    const { client, subscribe } = opened({ logs });
    client.buffered = FULL;
    for (const id of logs.keys()) subscribe(id);
    await client.until(() => client.ofType("subscribed").length === 1);
    // Time for all the others, if it were not for their turn.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(pagesOf(logs)).toBe(1);
    client.buffered = 0;
    await client.until(() => client.ofType("job_delta").length === 100);
    expect(pagesOf(logs)).toBe(100);
    const order = client.ofType("subscribed").map(({ job_id }) => job_id);
    expect(order).toEqual([...logs.keys()]);
  });

  it("has one backlog for them all: the job that finds it full goes back to its log", async () => {
    const logs = logsOf(3);
    const { client, subscribe } = opened({ logs });
    for (const id of logs.keys()) subscribe(id);
    await Promise.all([...logs.values()].map((log) => log.attached()));
    const [one, two, three] = [...logs.values()];
    client.buffered = FULL;
    // The first frame is taken and has its turn; these wait behind it.
    one?.say(1);
    await one?.idle();
    one?.say(SOME);
    two?.say(THE_REST);
    await two?.idle();
    expect([one?.open, two?.open, three?.open]).toEqual([1, 1, 1]);
    three?.say(1);
    await three?.left();
    client.buffered = 0;
    const said = logs.size + 1 + SOME + THE_REST + 1;
    await client.until(() => client.ofType("job_delta").length === said);
    // What was taken frees its room: all wait for what comes, and none had to read its log but the one.
    await three?.attached();
    expect([one?.pages, two?.pages, three?.pages]).toEqual([1, 1, 2]);
    three?.say(5);
    await client.until(() => client.ofType("job_delta").length === said + 5);
    expect(three?.open).toBe(1);
  });

  it("gives the turn on where it leaves the job that has it", async () => {
    const logs = logsOf(2);
    const { client, session, subscribe } = opened({ logs });
    client.buffered = FULL;
    subscribe("job-0");
    subscribe("job-1");
    await client.until(() => client.ofType("subscribed").length === 1);
    session.obey({ type: "unsubscribe", job_id: "job-0" });
    await client.until(() => client.ofType("subscribed").length === 2);
    expect(client.ofType("job_delta")).toEqual([]);
    session.end();
    await vi.waitFor(() => expect(pagesOf(logs)).toBe(2));
  });

  it("is told that another's job is unknown, as one that is not there", async () => {
    const { client, subscribe } = opened();
    subscribe("of another");
    subscribe("none");
    await client.until(() => client.told.length === 2);
    expect(client.told).toEqual(
      ["of another", "none"].map((job_id) => ({ type: "error", job_id, message: "Job not found" })),
    );
  });
});
