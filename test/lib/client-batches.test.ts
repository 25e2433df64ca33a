import type { ServerResponse } from "node:http";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { BatchResult } from "../../lib/client.ts";
import { RESULTS_PACE, ResultsReader, type ResultsOptions } from "../../lib/batch-results.ts";
import { Caller } from "../../lib/caller.ts";
import { createClient, type Client } from "../../lib/client.ts";
import {
  all,
  held,
  html,
  json,
  lost,
  problem,
  ScriptedApi,
  type Meeting,
} from "../support/scripted-api.ts";

const AT_ONCE = { "retry-after": "0" };
const ACCEPTED = { batch_id: "b/1", status: "queued", job_ids: ["a", "b"] };
const OPEN = { batch_id: "b/1", status: "active", is_complete: false };
const ENDED = { batch_id: "b/1", status: "completed", is_complete: true };

let api: ScriptedApi;
let client: Client;
beforeAll(async () => {
  api = await ScriptedApi.start();
  client = createClient({ baseUrl: api.url, apiKey: "lj_live_key" });
});
afterAll(() => api.close());

const asked = () => api.asked.map(({ method, path }) => `${method} ${path}`);
const queries = () => api.asked.map(({ query }) => query);
const keysSent = () => api.asked.map(({ headers }) => headers["idempotency-key"]);

describe("submitBatch", () => {
  it("sends the batch again with the same key, each batch with one of its own", async () => {
    const request = { prompts: ["Why?", "How?"], model: "gpt-4o" };
    api.script(lost, json(ACCEPTED, 202));
    expect(await client.submitBatch(request)).toEqual(ACCEPTED);
    await client.submitBatch(request);
    expect(asked()).toEqual(Array.from({ length: 3 }, () => "POST /api/batches"));
    expect(api.asked.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      request,
      request,
      request,
    ]);
    expect(api.asked[0]?.headers["content-type"]).toBe("application/json");
    const [first, again, other] = keysSent();
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(again).toBe(first);
    expect(other).toMatch(/^[0-9a-f]{32}$/);
    expect(other).not.toBe(first);
  });

  it("tells a batch that repeats another, under the caller's own key", async () => {
    const replayed = { ...ACCEPTED, status: "already_submitted" };
    api.script(problem(503, "unavailable", AT_ONCE), json(replayed, 200));
    const submission = client.submitBatch({ prompts: ["Why?"] }, { idempotencyKey: "nightly-42" });
    expect(await submission).toEqual(replayed);
    expect(keysSent()).toEqual(["nightly-42", "nightly-42"]);
  });

  it("says which items it was refused for, and is not sent again", async () => {
    const errors = [{ index: 1, pointer: "/requests/1/model", detail: "unknown" }];
    const refusal = { status: 400, code: "invalid-request", detail: "unknown", errors };
    api.script(json(refusal, 400, AT_ONCE));
    const submission = client.submitBatch({ requests: [{ prompt: "Why?" }, { prompt: "How?" }] });
    await expect(submission).rejects.toMatchObject({ code: "invalid-request", errors });
    expect(api.asked).toHaveLength(1);
  });
});

it("a batch is read, cancelled and tried again, and asked for once more where that helps", async () => {
  for (const [call, request] of [
    [() => client.getBatch("b/1"), "GET /api/batches/b%2F1"],
    [() => client.cancelBatch("b/1"), "POST /api/batches/b%2F1/cancel"],
    [() => client.retryFailed("b/1"), "POST /api/batches/b%2F1/retry-failed"],
  ] as const) {
    api.script(problem(503, "unavailable", AT_ONCE), json(OPEN));
    expect(await call()).toEqual(OPEN);
    expect(asked()).toEqual([request, request]);
  }
  api.script(problem(409, "batch-cancelled"));
  await expect(client.retryFailed("b/1")).rejects.toMatchObject({ code: "batch-cancelled" });
});

describe("waitForBatch", () => {
  it("looks until every item has ended, as often as the server says, whatever passes", async () => {
    const bad = [problem(503, "unavailable", AT_ONCE), problem(429, "too-many-requests", AT_ONCE)];
    const cancelling = { ...OPEN, status: "cancelling" };
    api.script(
      json(OPEN, 200, AT_ONCE),
      ...bad,
      ...bad,
      ...bad,
      json(cancelling, 200, { "retry-after": "1" }),
      json({ ...ENDED, status: "cancelled" }),
    );
    const askedAt = performance.now();
    expect(await client.waitForBatch("b/1")).toEqual({ ...ENDED, status: "cancelled" });
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(990);
    expect(asked()).toEqual(Array.from({ length: 9 }, () => "GET /api/batches/b%2F1"));
  });

  it("rejects when its time is up, and for a batch that is not there", async () => {
    api.script(held);
    const late = client.waitForBatch("b/1", { timeoutMs: 20 });
    await expect(late).rejects.toMatchObject({ name: "TimeoutError" });
    api.script(json(OPEN, 200, AT_ONCE), problem(410, "batch-gone"));
    await expect(client.waitForBatch("b/1")).rejects.toMatchObject({ code: "batch-gone" });
  });
});

/** Of characters of one to four bytes. */
const RESULTS = ["a", "é", "漢", "😀\n\r", ""].map((content, index) => {
  return {
    custom_id: null,
    index,
    job_id: `job_${index}`,
    status: "completed",
    result: { content },
  };
}) as BatchResult[];

const NDJSON = { "content-type": "application/x-ndjson" };

function bytesOf(results: BatchResult[]): Buffer {
  return Buffer.from(results.map((result) => `${JSON.stringify(result)}\n`).join(""));
}

/** Serves the results as the API does, the stream `cut` off after so many bytes. */
function serving(results: BatchResult[], cut = Infinity): Meeting {
  return async (response, { query }) => {
    const bytes = bytesOf(results.slice(Number(query["after"] ?? -1) + 1));
    response.writeHead(200, NDJSON).flushHeaders();
    if (cut >= bytes.length) return void response.end(bytes);
    await new Promise((written) => response.write(bytes.subarray(0, cut), written));
    response.socket?.destroySoon();
  };
}

/** A line that is no result. */
const senseless: Meeting = (response) => void response.writeHead(200, NDJSON).end("{}\n");

/** A server that does not know how to start later. */
const fromTheStart: Meeting = (response) =>
  void response.writeHead(200, NDJSON).end(bytesOf(RESULTS));

function read(options: ResultsOptions = {}, pace = { ...RESULTS_PACE, retryMs: 1 }) {
  const caller = new Caller(api.url, undefined, undefined);
  return new ResultsReader(caller, "/api/batches/b/results", options, pace).results();
}

describe("batchResults", () => {
  it("gives those that have ended so far, or follows to the last, from any of them on", async () => {
    api.script(serving(RESULTS));
    expect(await all(client.batchResults("b/1"))).toEqual(RESULTS);
    expect(await all(client.batchResults("b/1", { follow: true }))).toEqual(RESULTS);
    const rest = await all(client.batchResults("b/1", { follow: true, after: 2 }));
    expect(rest).toEqual(RESULTS.slice(3));
    expect(await all(client.batchResults("b/1", { after: 4 }))).toEqual([]);
    expect(queries()).toEqual([
      {},
      { follow: "true" },
      { follow: "true", after: "2" },
      { after: "4" },
    ]);
    expect(new Set(asked())).toEqual(new Set(["GET /api/batches/b%2F1/results"]));
    expect(api.asked[0]?.headers.authorization).toBe("Bearer lj_live_key");
    const some = [RESULTS[1], RESULTS[4]] as BatchResult[];
    api.script(serving(some));
    expect(await all(client.batchResults("b/1"))).toEqual(some);
  });

  it("gives each as its line comes, not all at the end", async () => {
    const lines = RESULTS.map((result) => bytesOf([result]));
    const given: number[] = [];
    const answered: ServerResponse[] = [];
    const send = () => {
      if (lines.length > 0) answered[0]?.write(lines.shift());
      else answered[0]?.end();
    };
    api.script((response) => {
      answered.push(response.writeHead(200, NDJSON));
      send();
    });
    for await (const { index } of read({ follow: true })) {
      given.push(index);
      expect(lines).toHaveLength(RESULTS.length - given.length);
      send();
    }
    expect(given).toEqual([0, 1, 2, 3, 4]);
  });

  it("goes on where it was, each once and in order, at whatever byte the stream is cut", async () => {
    const whole = bytesOf(RESULTS);
    for (let cut = 0; cut < whole.length; cut++) {
      api.script(serving(RESULTS, cut), serving(RESULTS));
      expect(await all(read({ follow: true }))).toEqual(RESULTS);
      const lines = whole.subarray(0, cut).toString("latin1").split("\n").length - 1;
      const resumed = lines === 0 ? {} : { after: String(lines - 1) };
      expect(queries()).toEqual([{ follow: "true" }, { follow: "true", ...resumed }]);
    }
  }, 60_000);

  it("gives none twice where the server does not start later", async () => {
    api.script(serving(RESULTS, bytesOf(RESULTS).length - 1), fromTheStart);
    expect(await all(read())).toEqual(RESULTS);
    expect(api.asked).toHaveLength(2);
  });

  it("takes no end within a line, no gap and no page of a proxy for the results", async () => {
    const torn: Meeting = (response) =>
      void response.writeHead(200, NDJSON).end(bytesOf(RESULTS).subarray(0, -1));
    const gap = [RESULTS[0], RESULTS[2]] as BatchResult[];
    const bad = problem(503, "unavailable", AT_ONCE);
    api.script(lost, html, serving(gap), senseless, bad, torn, serving(RESULTS));
    expect(await all(read({ follow: true }))).toEqual(RESULTS);
    expect(queries().map(({ after }) => after)).toEqual([
      undefined,
      undefined,
      undefined,
      "0",
      "0",
      "0",
      "3",
    ]);
  });

  it("opens a stream again that has fallen silent, at once", async () => {
    const silent: Meeting = (response) =>
      void response.writeHead(200, NDJSON).write(bytesOf(RESULTS.slice(0, 2)));
    api.script(silent, held, serving(RESULTS));
    const pace = { silenceMs: 100, retryMs: 3_600_000 };
    expect(await all(read({ follow: true }, pace))).toEqual(RESULTS);
    expect(api.asked.length).toBeGreaterThanOrEqual(3);
    await Promise.all(api.asked.slice(0, 2).map(({ closed }) => closed));
  });

  it("is refused as the API refuses, and closes the connection when the reader leaves", async () => {
    api.script(problem(404, "batch-not-found"));
    await expect(all(read())).rejects.toMatchObject({ status: 404, code: "batch-not-found" });
    const some: Meeting = (response) =>
      void response.writeHead(200, NDJSON).write(bytesOf(RESULTS.slice(0, 1)));
    api.script(some);
    for await (const _result of read()) break;
    await api.asked[0]?.closed;
    const left = new AbortController();
    const reason = new Error("The reader has left");
    const reading = read({ follow: true, signal: left.signal });
    expect((await reading.next()).value).toEqual(RESULTS[0]);
    const next = reading.next();
    left.abort(reason);
    await expect(next).rejects.toBe(reason);
    await api.asked[1]?.closed;
    expect(api.asked).toHaveLength(2);
  });
});
