import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { AfterwordError, createClient, type Client } from "../../lib/client.ts";
import {
  html,
  held,
  json,
  lost,
  problem,
  ScriptedApi,
  type Meeting,
} from "../support/scripted-api.ts";

const AT_ONCE = { "retry-after": "0" };
const ACCEPTED = { job_id: "job", status: "queued" };
const ENDED = { job_id: "job", status: "completed", result: { content: "Blue." } };

let api: ScriptedApi;
let client: Client;
beforeAll(async () => {
  api = await ScriptedApi.start();
  client = createClient({ baseUrl: `${api.url}/`, apiKey: "lj_live_key" });
});
afterAll(() => api.close());

/** What a call was refused with. */
async function refused(call: Promise<unknown>): Promise<AfterwordError> {
  const error: unknown = await call.catch((error: unknown) => error);
  expect(error).toBeInstanceOf(AfterwordError);
  return error as AfterwordError;
}

const keysSent = () => api.asked.map(({ headers }) => headers["idempotency-key"]);

function inSeconds(seconds: string): Meeting {
  return problem(503, "unavailable", { "retry-after": seconds });
}

describe("submit", () => {
  it("sends the request with the API key, and a key of its own that nobody can guess", async () => {
    api.script(json(ACCEPTED, 202));
    const request = { prompt: "Why is the sky blue?", metadata: { page: "faq" } };
    expect(await client.submit(request)).toEqual(ACCEPTED);
    await client.submit(request);
    const [asked] = api.asked;
    expect(asked).toMatchObject({ method: "POST", path: "/api/jobs", query: {} });
    expect(JSON.parse(asked?.body ?? "")).toEqual(request);
    expect(asked?.headers).toMatchObject({
      authorization: "Bearer lj_live_key",
      "content-type": "application/json",
    });
    expect(keysSent()).toEqual([
      expect.stringMatching(/^[0-9a-f]{32}$/),
      expect.stringMatching(/^[0-9a-f]{32}$/),
    ]);
    expect(new Set(keysSent()).size).toBe(2);
  });

  const passing: [string, Meeting][] = [
    ["an answer that was lost after its effect", lost],
    ["408", problem(408, "request-timeout", AT_ONCE)],
    ["429 with Retry-After", problem(429, "too-many-requests", AT_ONCE)],
    [
      "429 with a date for Retry-After",
      problem(429, "too-many-requests", { "retry-after": "Sun, 06 Nov 1994 08:49:37 GMT" }),
    ],
    ["500", problem(500, "internal-error", AT_ONCE)],
    ["503 of a proxy", json("down", 503, AT_ONCE)],
    ["an answer that is none of the API's", html],
    [
      "an answer that breaks off",
      (response) =>
        void response
          .writeHead(202, { "content-length": "99" })
          .write('{"job', () => response.socket?.destroySoon()),
    ],
  ];
  it.each(passing)("is sent again, with the same key, after %s", async (_name, meeting) => {
    api.script(meeting, json(ACCEPTED, 202));
    expect(await client.submit({ prompt: "Why?" })).toEqual(ACCEPTED);
    expect(api.asked).toHaveLength(2);
    expect(new Set(keysSent()).size).toBe(1);
    expect(new Set(api.asked.map(({ body }) => body)).size).toBe(1);
  });

  it("tells a submission that repeats another, under the caller's own key", async () => {
    const replayed = { job_id: "mine", status: "already_submitted" };
    api.script(lost, json(replayed, 200));
    expect(await client.submit({ prompt: "Why?" }, { idempotencyKey: "mine" })).toEqual(replayed);
    expect(keysSent()).toEqual(["mine", "mine"]);
  });

  it("sends no key where the request has a window in which equal ones are the same", async () => {
    api.script(json(ACCEPTED, 202));
    await client.submit({ prompt: "Why?", dedupe_window_seconds: 60 });
    await client.submit({ prompt: "Why?", dedupe_window_seconds: 60 }, { idempotencyKey: "mine" });
    expect(keysSent()).toEqual([undefined, "mine"]);
  });

  it("is not sent again, where that window is all that makes two of them one job, once it may be over", async () => {
    const request = { prompt: "Why?", dedupe_window_seconds: 60 };
    api.script(inSeconds("0"), json(ACCEPTED, 202));
    expect(await client.submit(request)).toEqual(ACCEPTED);
    expect(api.asked).toHaveLength(2);
    // In time for the window, but not for the way there.
    api.script(inSeconds("56"), json(ACCEPTED, 202));
    expect(await refused(client.submit(request))).toMatchObject({ retryAfterMs: 56_000 });
    expect(api.asked).toHaveLength(1);
    const short = { ...request, dedupe_window_seconds: 4 };
    api.script(inSeconds("0"), json(ACCEPTED, 202));
    expect(await refused(client.submit(short))).toMatchObject({ status: 503 });
    expect(api.asked).toHaveLength(1);
    api.script(inSeconds("0"), json(ACCEPTED, 202));
    expect(await client.submit(short, { idempotencyKey: "mine" })).toEqual(ACCEPTED);
    expect(keysSent()).toEqual(["mine", "mine"]);
  });

  it("asks to wait for the end, and answers the finished job", async () => {
    api.script(json(ENDED, 200));
    const answer = await client.submit({ prompt: "Why?" }, { wait: 30 });
    expect(answer.status === "completed" && answer.result?.content).toBe("Blue.");
    expect(api.asked[0]?.headers["prefer"]).toBe("wait=30");
  });

  it.each([
    [400, "invalid-request"],
    [401, "unauthorized"],
    [403, "forbidden"],
    [413, "payload-too-large"],
    [422, "idempotency-key-reused"],
  ])("is not sent again after %d, and says what the API said", async (status, code) => {
    api.script(problem(status, code, AT_ONCE));
    const error = await refused(client.submit({ prompt: "" }));
    const detail = `It is ${code}`;
    expect(error).toMatchObject({
      name: "AfterwordError",
      message: detail,
      status,
      code,
      requestId: "req_1",
      errors: [{ pointer: "/prompt", detail }],
    });
    expect(api.asked).toHaveLength(1);
  });

  it("gives up after five tries, with the last refusal", async () => {
    api.script(problem(503, "unavailable", AT_ONCE));
    expect(await refused(client.submit({ prompt: "Why?" }))).toMatchObject({
      status: 503,
      code: "unavailable",
    });
    expect(api.asked).toHaveLength(5);
  });

  it("keeps nobody waiting who is told to come back in an hour", async () => {
    api.script(problem(429, "too-many-requests", { "retry-after": "3600" }));
    const error = await refused(client.submit({ prompt: "Why?" }));
    expect(error).toMatchObject({ status: 429, retryAfterMs: 3_600_000 });
    expect(api.asked).toHaveLength(1);
  });
});

describe("a call that is aborted", () => {
  it.each([
    ["before it is sent", json(ACCEPTED), 0],
    ["while the server is silent", held, 1],
    ["while it waits for another try", problem(503, "unavailable", { "retry-after": "30" }), 1],
  ] as const)("rejects with the caller's reason %s", async (_when, meeting, asked) => {
    const left = new AbortController();
    const reason = new Error("The reader has left");
    if (asked === 0) left.abort(reason);
    api.script(async (response, request) => {
      await meeting(response, request);
      setImmediate(() => left.abort(reason));
    });
    await expect(client.get("job", { signal: left.signal })).rejects.toBe(reason);
    expect(api.asked).toHaveLength(asked);
    for (const { closed } of api.asked) await closed;
  });
});

function page(ids: string[], next_cursor: string | null): Meeting {
  const jobs = ids.map((job_id) => ({ job_id }));
  return json({ jobs, has_more: next_cursor !== null, next_cursor });
}

describe("the other calls", () => {
  it("read a job, with the text so far if asked for", async () => {
    api.script(json(ENDED));
    expect(await client.get("a b/c")).toEqual(ENDED);
    await client.get("job", { includePartialOutput: true });
    expect(api.asked.map(({ path, query }) => [path, query])).toEqual([
      ["/api/jobs/a%20b%2Fc", {}],
      ["/api/jobs/job", { include: "partial_output" }],
    ]);
  });

  it("cancel, retry and issue tokens, and try again where the answer was lost", async () => {
    for (const [call, path] of [
      [() => client.cancel("job"), "/api/jobs/job/cancel"],
      [() => client.retry("job"), "/api/jobs/job/retry"],
      [() => client.issueToken("job"), "/api/jobs/job/tokens"],
    ] as const) {
      api.script(lost, json({ job_id: "job" }));
      expect(await call()).toEqual({ job_id: "job" });
      expect(api.asked.map(({ method, path }) => [method, path])).toEqual([
        ["POST", path],
        ["POST", path],
      ]);
    }
  });

  it("delete, also where the first answer was lost and the job is gone by then", async () => {
    const gone = problem(410, "job-gone");
    api.script(lost, gone);
    await client.delete("job");
    expect(api.asked.map(({ method }) => method)).toEqual(["DELETE", "DELETE"]);
    api.script(problem(404, "job-not-found"));
    expect(await refused(client.delete("job"))).toMatchObject({ code: "job-not-found" });
    api.script(json(null, 204));
    expect(await client.delete("job")).toBeUndefined();
  });

  it("list page after page, with the same filters, as far as they are taken", async () => {
    const script = () => api.script(page(["c", "b"], "after b"), page([], "z"), page(["a"], null));
    script();
    const ids: string[] = [];
    for await (const { job_id } of client.list({ status: "failed", limit: 2 })) ids.push(job_id);
    expect(ids).toEqual(["c", "b", "a"]);
    expect(api.asked.map(({ query }) => query)).toEqual([
      { status: "failed", limit: "2" },
      { status: "failed", limit: "2", cursor: "after b" },
      { status: "failed", limit: "2", cursor: "z" },
    ]);
    script();
    for await (const _job of client.list()) break;
    expect(api.asked).toHaveLength(1);
  });

  it("give what a job has called, and what its webhook was sent", async () => {
    api.script(json({ job_id: "job", attempts: [{ attempt: 1 }] }));
    expect(await client.attempts("job")).toEqual([{ attempt: 1 }]);
    api.script(json({ job_id: "job", deliveries: [{ delivery_id: "msg_1" }] }));
    expect(await client.deliveries("job")).toEqual([{ delivery_id: "msg_1" }]);
  });

  it("give a job's steps, and answer what it waits for", async () => {
    api.script(json({ job_id: "job", steps: [{ name: "draft" }] }));
    expect(await client.steps("job")).toEqual([{ name: "draft" }]);
    api.script(lost, json({ job_id: "job" }));
    const input = { request_id: "input_x_1", approved: true };
    expect(await client.answer("job", input)).toEqual({ job_id: "job" });
    const asked = { method: "POST", path: "/api/jobs/job/input", body: JSON.stringify(input) };
    expect(api.asked).toMatchObject([asked, asked]);
  });
});

describe("an error", () => {
  it("says so where nobody answers, after some tries", async () => {
    api.script(lost);
    const error = await refused(client.get("job"));
    expect(error).toMatchObject({ status: null, code: "no-answer", requestId: null, errors: [] });
    expect(error.message).toBe("The server did not answer");
    expect(api.asked).toHaveLength(5);
  }, 20_000);

  it("names the request where something else than the API refuses it", async () => {
    api.script(json("Forbidden", 403, { "x-request-id": "req_2" }));
    expect(await refused(client.get("job"))).toMatchObject({
      status: 403,
      code: "unreadable-answer",
      requestId: "req_2",
    });
  });
});

it("a fetch of the caller's own is called as a function, with whole addresses", async () => {
  const asked: unknown[] = [];
  const own = createClient({
    baseUrl: "https://afterword.test/prefix//",
    fetch: function (this: unknown, ...[input]) {
      asked.push(this, input);
      return Promise.resolve(Response.json(ENDED));
    },
  });
  await own.get("job");
  expect(asked).toEqual([undefined, "https://afterword.test/prefix/api/jobs/job"]);
});
