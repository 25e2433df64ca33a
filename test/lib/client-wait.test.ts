import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { createClient, type Client } from "../../lib/client.ts";
import { held, json, lost, problem, ScriptedApi, type Meeting } from "../support/scripted-api.ts";

const AT_ONCE = { "retry-after": "0" };
const ENDED = { job_id: "job", status: "completed", result: { content: "Blue." } };

let api: ScriptedApi;
let client: Client;
beforeAll(async () => {
  api = await ScriptedApi.start();
  client = createClient({ baseUrl: api.url });
});
afterAll(() => api.close());

describe("wait", () => {
  const waiting = json({ ...ENDED, status: "active" }, 200, { ...AT_ONCE, etag: 'W/"1"' });
  const unchanged: Meeting = (response) =>
    void response.writeHead(304, { ...AT_ONCE, etag: 'W/"1"' }).end();
  beforeEach(() => api.script(json(ENDED)));

  it("resolves at once for a job that has ended", async () => {
    expect(await client.wait("job")).toEqual(ENDED);
    expect(api.asked[0]).toMatchObject({ path: "/api/jobs/job", query: { wait: "25" } });
  });

  it("has the server hold its answer until the version it knows has changed", async () => {
    api.script(waiting, unchanged, json(ENDED));
    expect(await client.wait("job")).toEqual(ENDED);
    expect(api.asked.map(({ headers }) => headers["if-none-match"])).toEqual([
      undefined,
      'W/"1"',
      'W/"1"',
    ]);
  });

  it("survives whatever passes, however often", async () => {
    const bad = [problem(503, "unavailable", AT_ONCE), problem(429, "too-many-requests", AT_ONCE)];
    api.script(lost, ...bad, ...bad, ...bad, ...bad, json(ENDED));
    expect(await client.wait("job")).toEqual(ENDED);
    expect(api.asked).toHaveLength(10);
  });

  it("does not wait for a job that is not there", async () => {
    api.script(waiting, problem(410, "job-gone"));
    await expect(client.wait("job")).rejects.toMatchObject({ status: 410, code: "job-gone" });
  });

  it("rejects when its time is up, or its caller has left", async () => {
    api.script(held);
    await expect(client.wait("job", { timeoutMs: 20 })).rejects.toMatchObject({
      name: "TimeoutError",
    });
    await api.asked[0]?.closed;
    const reason = new Error("The reader has left");
    const left = new AbortController();
    api.script(() => left.abort(reason));
    const { signal } = left;
    await expect(client.wait("job", { timeoutMs: 60_000, signal })).rejects.toBe(reason);
    await expect(client.wait("job", { signal })).rejects.toBe(reason);
  });

  it("asks no more often than the server says", async () => {
    api.script(json({ ...ENDED, status: "queued" }, 200, { "retry-after": "1" }), json(ENDED));
    const askedAt = performance.now();
    await client.wait("job");
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(990);
  });
});
