import { createConfig, lintFromString } from "@redocly/openapi-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { allFrames } from "../support/api.ts";
import { refusedUpgrade } from "../support/follow-socket.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { nameOf, OpenApiJudge, type OpenApi } from "../support/openapi.ts";

let journey: Journey;
let judge: OpenApiJudge;
let source: string;
beforeAll(async () => {
  journey = await startJourney();
  source = await (await journey.api.fetch("/openapi.json")).text();
  judge = new OpenApiJudge(JSON.parse(source) as OpenApi);
});
afterAll(() => journey.close());

/** The routes of the app itself. Imported by a name TypeScript does not follow: its globals are the Worker's, ours Node's. */
async function servedRoutes(): Promise<{ method: string; path: string }[]> {
  const app: string = "../../src/http/app.ts";
  const { createApp } = (await import(app)) as {
    createApp: () => { routes: { method: string; path: string }[] };
  };
  return createApp().routes.filter(({ method }) => method !== "ALL");
}

describe("the document", () => {
  it("is OpenAPI 3.1 without an error or a warning", async () => {
    expect(JSON.parse(source)).toMatchObject({ openapi: expect.stringMatching(/^3\.1\.\d$/) });
    const config = await createConfig({ extends: ["recommended"] });
    const problems = await lintFromString({ source, config });
    const told = problems.map(({ ruleId, location }) => `${ruleId} ${location[0]?.pointer}`);
    // Two rules ask for what would be untrue: a socket's success is a 101, and /health refuses nobody. One overlooks
    // methods: an operation is only read, and only letters are posted to.
    const untrue = new Set([
      "no-ambiguous-paths #/paths/~1api~1admin~1dead-letter~1operations~1{operation_id}",
      "operation-2xx-response #/paths/~1ws~1jobs~1{id}/get/responses",
      "operation-4xx-response #/paths/~1health/get/responses",
    ]);
    expect(told.filter((problem) => !untrue.has(problem))).toEqual([]);
  });

  it("has every route that is served, and no other", async () => {
    const routes = await servedRoutes();
    const served = routes.map(
      ({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`,
    );
    const documented = Object.entries(judge.document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    // The document does not describe itself.
    expect(new Set(served)).toEqual(new Set([...documented, "GET /openapi.json"]));
  });

  it("has examples that fit their schemas", () => {
    expect(judge.examples.length).toBeGreaterThan(5);
    const faults = judge.examples.flatMap(({ place, example }) =>
      judge.faultsAt(place, example).map((fault) => `${place.join("/")}: ${fault}`),
    );
    expect(faults).toEqual([]);
  });

  it("says of a request what the product says", () => {
    const body = [
      "paths",
      "/api/jobs",
      "post",
      "requestBody",
      "content",
      "application/json",
      "schema",
    ];
    const every = {
      prompt: "x",
      model: "gpt-4o",
      params: { max_tokens: 1, stop: ["x"], response_format: { type: "json_object" } },
      fallback_models: ["gpt-4o-mini"],
      priority: 10,
      profile: "long_running",
      max_attempts: 10,
      timeout_ms: 600_000,
      delay_seconds: 0,
      ttl_seconds: 1,
      dedupe_window_seconds: 60,
      user: "u",
      metadata: { a: "b" },
      retention_seconds: 1,
    };
    expect(judge.faultsAt(body, every)).toEqual([]);
    const { prompt: _, ...rest } = every;
    const messages = [{ role: "user", content: [{ type: "text", text: "x" }] }];
    expect(judge.faultsAt(body, { ...rest, messages })).toEqual([]);
    for (const wrong of [{ promt: "x" }, { priority: 0 }, { metadata: { a: 1 } }, { prompt: "" }]) {
      expect(judge.faultsAt(body, { ...every, ...wrong })).not.toEqual([]);
    }
  });
});

describe("real answers", () => {
  const judged = new Set<string>();

  /** Asks, and has the document judge what is answered. */
  async function ask(
    method: string,
    path: string,
    status: number,
    init: RequestInit & { url: string },
  ) {
    const response = await journey.api.fetch(init.url, { ...init, method });
    const copy = response.clone();
    const type = response.headers.get("content-type") ?? "";
    const frames = type.startsWith("text/event-stream")
      ? await allFrames(copy)
      : [{ data: await copy.text() }];
    const bodies = frames.flatMap(({ data = "" }) =>
      data === "" ? [] : [JSON.parse(data) as unknown],
    );
    expect(response.status).toBe(status);
    const faults = [...(bodies.length > 0 ? bodies : [undefined])].flatMap((body) =>
      judge.faultsOf(method, path, response, body),
    );
    expect(faults).toEqual([]);
    judged.add(nameOf(method, path, status));
  }

  function submit(status: number, body: unknown, headers: Record<string, string> = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const json = { "content-type": "application/json", ...headers };
    return ask("POST", "/api/jobs", status, { url: "/api/jobs", body: text, headers: json });
  }
  const read = (status: number, id: string, query = "") =>
    ask("GET", "/api/jobs/{id}", status, { url: `/api/jobs/${id}${query}` });
  const cancel = (status: number, id: string) =>
    ask("POST", "/api/jobs/{id}/cancel", status, { url: `/api/jobs/${id}/cancel` });
  const retry = (status: number, id: string) =>
    ask("POST", "/api/jobs/{id}/retry", status, { url: `/api/jobs/${id}/retry` });
  const remove = (status: number, id: string) =>
    ask("DELETE", "/api/jobs/{id}", status, { url: `/api/jobs/${id}` });
  const attempts = (status: number, id: string) =>
    ask("GET", "/api/jobs/{id}/attempts", status, { url: `/api/jobs/${id}/attempts` });
  const follow = (status: number, id: string, query = "") =>
    ask("GET", "/api/jobs/{id}/events", status, { url: `/api/jobs/${id}/events${query}` });

  const list = (status: number, query: string) =>
    ask("GET", "/api/jobs", status, { url: `/api/jobs${query}` });

  it("to a submission fit the document", async () => {
    const key = { "idempotency-key": "documented" };
    const job = { prompt: freshPrompt("[tokens=20 every=50]"), user: "u", metadata: { a: "b" } };
    await submit(202, job, key);
    await submit(200, job, key);
    await submit(422, { ...job, user: "v" }, key);
    await submit(400, {});
    await submit(400, "{");
    await submit(413, { prompt: "x".repeat(1_048_577) });
    await submit(415, job, { "content-type": "text/plain" });
  });

  it("about a job in every state fit the document", async () => {
    await read(200, "documented", "?include=partial_output");
    await journey.api.ended("documented");
    await read(200, "documented");
    const delayed = await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 60 });
    await read(200, delayed.job_id);
    await cancel(200, delayed.job_id);
    await read(200, delayed.job_id, "?include=partial_output");
    const failing = await journey.api.submit({ prompt: freshPrompt("[cut=2 x1][status=400]") });
    await journey.api.readUntil(failing.job_id, ({ retry_at }) => retry_at !== undefined);
    await read(200, failing.job_id);
    await journey.api.ended(failing.job_id);
    await read(200, failing.job_id);
    await read(400, "documented", "?include=all");
    await read(404, "undocumented");
    await cancel(404, "undocumented");
    for (const id of ["documented", delayed.job_id, failing.job_id]) {
      await follow(200, id);
      await attempts(200, id);
    }
    await attempts(404, "undocumented");
    await retry(202, failing.job_id);
    await retry(200, failing.job_id);
    await retry(202, delayed.job_id);
    await retry(409, "documented");
    await retry(404, "undocumented");
    await remove(404, "undocumented");
    await follow(204, "documented", "?after=999");
    await follow(404, "undocumented");
  });

  it("about all jobs fit the document", async () => {
    await list(200, "");
    await list(200, "?status=failed&model=gpt-4o&created_after=2026-11-01T12:00:00Z&limit=1");
    await list(400, "?cursor=none");
  });

  it("about a job that is gone fit the document", async () => {
    const job = { prompt: freshPrompt() };
    await journey.api.submit(job, "gone");
    await remove(204, "gone");
    await remove(410, "gone");
    await attempts(410, "gone");
    await retry(410, "gone");
    await read(410, "gone");
    await cancel(410, "gone");
    await follow(410, "gone");
    await submit(410, job, { "idempotency-key": "gone" });
    judged.add(
      nameOf("GET", "/ws/jobs/{id}", (await refusedUpgrade(journey.api.url, "/ws/jobs/gone")) ?? 0),
    );
  });

  it("about dead letters fit the document", async () => {
    const path = "/api/admin/dead-letter";
    const one = `${path}/{dlq_id}`;
    const bulk = (status: number, action: string, body: unknown, type = "application/json") =>
      ask("POST", `${path}/${action}`, status, {
        url: `${path}/${action}`,
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": type },
      });
    const attempt = {
      attempt: 1,
      model: "gpt-4o",
      provider: "openai",
      status: "failed",
      started_at: "2026-11-01T12:00:00.000Z",
      ended_at: "2026-11-01T12:00:01.000Z",
      usage: null,
      cost_usd: null,
      error: "Late",
      error_code: "timeout",
      timings: { ttft_ms: null, provider_ms: 1_000 },
    };
    const letter = {
      jobId: "given-up",
      tenant: "dev",
      tier: "default",
      model: "gpt-4o",
      provider: "openai",
      error: "Late",
      errorCode: "timeout",
      submittedAt: 1,
      failedAt: 2,
      attempts: [attempt],
      request: { messages: [{ role: "user", content: freshPrompt() }], priority: 5 },
    };
    const off = { ...letter, dlqId: "dlq_off", request: { prompt: "x", model: "off-the-list" } };
    const { LETTERS } = (await journey.product.harness.getWorker().getEnv()) as {
      LETTERS: { getByName(name: string): { add(letters: unknown[]): Promise<void> } };
    };
    await LETTERS.getByName("dead-letters").add([{ ...letter, dlqId: "dlq_on" }, off]);
    await ask("GET", path, 200, { url: `${path}?limit=1` });
    await ask("GET", path, 400, { url: `${path}?limit=0` });
    await ask("GET", `${path}/groups`, 200, { url: `${path}/groups` });
    await ask("GET", `${path}/groups`, 400, { url: `${path}/groups?limit=1` });
    await ask("GET", one, 200, { url: `${path}/dlq_on` });
    await ask("GET", one, 404, { url: `${path}/dlq_none` });
    await ask("POST", `${one}/retry`, 200, { url: `${path}/dlq_on/retry` });
    await ask("POST", `${one}/retry`, 404, { url: `${path}/dlq_none/retry` });
    await ask("POST", `${one}/retry`, 409, { url: `${path}/dlq_off/retry` });
    for (const action of ["retry", "discard"]) {
      await bulk(202, action, { filter: { model: "none" } });
      await bulk(400, action, {});
      await bulk(413, action, { ids: ["x".repeat(1_048_577)] });
      await bulk(415, action, { filter: {} }, "text/plain");
    }
    const begun = await journey.api.post(`${path}/retry`, { ids: ["dlq_off"] });
    const { status_url } = (await begun.json()) as { status_url: string };
    const operation = async () =>
      (await (await journey.api.fetch(status_url)).json()) as { status: string; refused: number };
    await expect.poll(operation, { timeout: 10_000 }).toMatchObject({ status: "done", refused: 1 });
    const operations = `${path}/operations/{operation_id}`;
    await ask("GET", operations, 200, { url: status_url });
    await ask("GET", operations, 404, { url: `${path}/operations/op_none` });
    await ask("DELETE", one, 204, { url: `${path}/dlq_off` });
    await ask("DELETE", one, 404, { url: `${path}/dlq_off` });
  });

  it("of the other routes fit the document", async () => {
    await ask("GET", "/health", 200, { url: "/health" });
    await ask("GET", "/api/admin/stats", 200, { url: "/api/admin/stats?window_seconds=86400" });
    await ask("GET", "/api/admin/stats", 400, { url: "/api/admin/stats?window_seconds=1" });
    await ask("GET", "/ws/jobs/{id}", 426, { url: "/ws/jobs/documented" });
    judged.add(
      nameOf("GET", "/ws/jobs/{id}", (await refusedUpgrade(journey.api.url, "/ws/jobs/none")) ?? 0),
    );
  });

  it("were all that the document promises", () => {
    // 401 and 500 are seen in auth.test.ts, 101 in sockets.test.ts; 403 needs a key of fewer scopes (scope.test.ts)
    // and 503 a platform in trouble.
    const elsewhere = /(401|403|500|101|503)$/;
    expect(judged).toEqual(new Set(judge.answers.filter((answer) => !elsewhere.test(answer))));
  });
});
