import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { gateName } from "../../src/ids.ts";
import type { JobReplayed } from "../../src/schema/job.ts";
import { expectJson } from "../support/api.ts";
import { refusedUpgrade } from "../support/follow-socket.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { askAboutLetters } from "../support/letter-answers.ts";
import * as batches from "../support/batch-answers.ts";
import { askAboutSteps } from "../support/step-answers.ts";
import { askAboutTenants } from "../support/tenant-answers.ts";
import { nameOf, OpenApiJudge, type OpenApi } from "../support/openapi.ts";

/** Where nobody listens, so a webhook may be sent there. */
const DEAD_ORIGIN = "http://127.0.0.1:9";

let journey: Journey;
let judge: OpenApiJudge;
beforeAll(async () => {
  const limits = { DAY_BUDGET_USD: "15", MAX_QUEUED_JOBS: "20" };
  journey = await startJourney({ WEBHOOK_ALLOWED_ORIGINS: DEAD_ORIGIN, ...limits });
  const document = await (await journey.api.fetch("/openapi.json")).json();
  judge = new OpenApiJudge(document as OpenApi);
});
afterAll(() => journey.close());

function sent(body: unknown, type = "application/json") {
  return { body: JSON.stringify(body), headers: { "content-type": type } };
}

describe("real answers", () => {
  const judged = new Set<string>();
  const headers = new Set<string>();

  /** Asks, and has the document judge what is answered. */
  async function ask(
    method: string,
    path: string,
    status: number,
    init: RequestInit & { url: string },
  ) {
    const response = await journey.api.fetch(init.url, { ...init, method });
    expect(response.status).toBe(status);
    expect(await judge.faultsOfAnswer(method, path, response)).toEqual([]);
    judged.add(nameOf(method, path, status));
    for (const header of judge.headersIn(method, path, response)) headers.add(header);
  }

  function submit(status: number, body: unknown, headers: Record<string, string> = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const json = { "content-type": "application/json", ...headers };
    return ask("POST", "/api/jobs", status, { url: "/api/jobs", body: text, headers: json });
  }
  const read = (status: number, id: string, query = "") =>
    ask("GET", "/api/jobs/{id}", status, { url: `/api/jobs/${id}${query}` });
  const readAgain = async (id: string, query = "") => {
    const read = await journey.api.fetch(`/api/jobs/${id}`);
    const headers = { "if-none-match": read.headers.get("etag") ?? "" };
    await ask("GET", "/api/jobs/{id}", 304, { url: `/api/jobs/${id}${query}`, headers });
  };
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
    await submit(431, job, { "x-long": "x".repeat(33_000) });
  });

  it("about a job in every state fit the document", async () => {
    await read(200, "documented", "?include=partial_output");
    await journey.api.ended("documented");
    await read(200, "documented");
    const delayed = await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 60 });
    await read(200, delayed.job_id);
    await readAgain(delayed.job_id);
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
    // What was tried again and is deleted is refused after the limits were asked.
    const again = await expectJson<JobReplayed>(await journey.api.again(delayed.job_id), 200);
    await journey.api.delete(again.job_id);
    await retry(409, delayed.job_id);
    await retry(404, "undocumented");
    await remove(404, "undocumented");
    await follow(204, "documented", "?after=999");
    await follow(404, "undocumented");
  });

  it("to those who wait fit the document", async () => {
    await readAgain("documented", "?wait=5");
    await read(400, "documented", "?wait=61");
    await submit(200, { prompt: freshPrompt() }, { prefer: "wait=20" });
    const json = { headers: { accept: "application/json" } };
    const events = "/api/jobs/documented/events";
    for (const query of ["", "?after=3", "?after=999&wait=1"]) {
      await ask("GET", "/api/jobs/{id}/events", 200, { url: `${events}${query}`, ...json });
    }
    await ask("GET", "/api/jobs/{id}/events", 400, { url: `${events}?wait=soon`, ...json });
  });

  it("to those who ask for a token fit the document", async () => {
    const path = "/api/jobs/{id}/tokens";
    await ask("POST", path, 201, { url: "/api/jobs/documented/tokens" });
    await ask("POST", path, 404, { url: "/api/jobs/undocumented/tokens" });
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
    await ask("POST", "/api/jobs/{id}/tokens", 410, { url: "/api/jobs/gone/tokens" });
    await submit(410, job, { "idempotency-key": "gone" });
    judged.add(
      nameOf("GET", "/ws/jobs/{id}", (await refusedUpgrade(journey.api.url, "/ws/jobs/gone")) ?? 0),
    );
  });

  it("about dead letters fit the document", () => askAboutLetters(journey, ask));
  it("about providers fit the document", async () => {
    const path = "/api/admin/providers/{name}";
    const url = "/api/admin/providers/groq";
    const none = { url: "/api/admin/providers/none" };
    await ask("GET", path, 200, { url });
    await ask("GET", path, 404, none);
    await ask("PUT", path, 200, { url, ...sent({ requests_per_minute: 5 }) });
    await ask("PUT", path, 400, { url, ...sent({ requests_per_minute: "5" }) });
    await ask("PUT", path, 404, { ...none, ...sent({}) });
    await ask("PUT", path, 413, { url, ...sent("x".repeat(1_048_577)) });
    await ask("PUT", path, 415, { url, ...sent({}, "text/plain") });
  });

  it("about webhooks fit the document", async () => {
    const rotate = "/api/webhook-secret/rotate";
    const post = (path: string, status: number, body: unknown, type = "application/json") => {
      const init = { body: JSON.stringify(body), headers: { "content-type": type } };
      return ask("POST", path, status, { url: path, ...init });
    };
    await ask("POST", rotate, 200, { url: rotate });
    await post(rotate, 200, { overlap_seconds: 60 });
    await post(rotate, 400, { overlap_seconds: -1 });
    await post(rotate, 413, { overlap_seconds: "x".repeat(1_048_577) });
    await post(rotate, 415, {}, "text/plain");
    const test = "/api/webhook-test";
    const url = `${DEAD_ORIGIN}/hook`;
    await post(test, 200, { url });
    await post(test, 400, {});
    await post(test, 413, { url: "x".repeat(1_048_577) });
    await post(test, 415, { url }, "text/plain");
    await post(test, 422, { url: "http://refused.example/" });
    const { GATES } = (await journey.product.harness.getWorker().getEnv()) as {
      GATES: { getByName(name: string): { enter(pass: string): Promise<unknown> } };
    };
    const gate = GATES.getByName(await gateName("dev", url));
    await Promise.all(Array.from({ length: 10 }, (_, at) => gate.enter(`pass-${at}`)));
    await post(test, 429, { url });
  });

  it("about a job's deliveries fit the document", async () => {
    const path = "/api/jobs/{id}/deliveries";
    const list = (status: number, id: string) =>
      ask("GET", path, status, { url: `/api/jobs/${id}/deliveries` });
    const replay = (status: number, id: string, delivery: string) =>
      ask("POST", `${path}/{delivery_id}/replay`, status, {
        url: `/api/jobs/${id}/deliveries/${delivery}/replay`,
      });
    const job = { prompt: freshPrompt(), webhook_url: `${DEAD_ORIGIN}/hook` };
    const { job_id } = await journey.api.submit(job);
    await journey.api.ended(job_id);
    await list(200, job_id);
    const answer = await journey.api.fetch(`/api/jobs/${job_id}/deliveries`);
    const { deliveries } = (await answer.json()) as { deliveries: { delivery_id: string }[] };
    const owed = deliveries[0]?.delivery_id ?? "";
    await replay(202, job_id, owed);
    await replay(404, job_id, "msg_none");
    await list(404, "undocumented");
    await list(410, "gone");
    await replay(410, "gone", owed);
  });

  it("about batches fit the document", () => batches.askAboutBatches(journey.api, ask));
  it("about a job's steps fit the document", () => askAboutSteps(journey.api, ask, "gone"));
  it("about tenants fit the document", () => askAboutTenants(journey.api, ask));
  it("where the budget or the queue is full fit the document", async () => {
    await ask("GET", "/api/usage", 200, { url: "/api/usage?group_by=model" });
    await ask("GET", "/api/usage", 400, { url: "/api/usage?from=yesterday" });
    // Two thirds of the budget, and not due while this runs.
    const params = { max_tokens: 1_000_000 };
    const dear = { prompt: freshPrompt(), max_attempts: 1, params, delay_seconds: 3_600 };
    const failing = { prompt: freshPrompt("[status=400]"), max_attempts: 1, params };
    const batch_id = await batches.failedBatch(journey.api, failing);
    const job_id = await batches.onceLetIn(journey.api, dear);
    await cancel(200, job_id);
    await batches.onceLetIn(journey.api, dear);
    await submit(402, dear);
    await retry(402, job_id);
    await batches.askAboutFullBatches(ask, 402, batch_id);
    const cheap = { prompt: freshPrompt(), max_cost_usd: 0.001, delay_seconds: 3_600 };
    const many = Array.from({ length: 20 }, () => journey.api.send(cheap));
    await Promise.all(many.map(async (sent) => (await sent).arrayBuffer()));
    await submit(429, cheap);
    await retry(429, job_id);
    await batches.askAboutFullBatches(ask, 429, batch_id);
  });

  it("of the other routes fit the document", async () => {
    await ask("GET", "/health", 200, { url: "/health" });
    await ask("GET", "/api/admin/stats", 200, { url: "/api/admin/stats?window_seconds=86400" });
    await ask("GET", "/api/admin/stats", 400, { url: "/api/admin/stats?window_seconds=1" });
    await ask("GET", "/metrics", 200, { url: "/metrics" });
    await ask("GET", "/ws/jobs/{id}", 426, { url: "/ws/jobs/documented" });
    await ask("GET", "/ws", 426, { url: "/ws" });
    judged.add(
      nameOf("GET", "/ws/jobs/{id}", (await refusedUpgrade(journey.api.url, "/ws/jobs/none")) ?? 0),
    );
  });

  it("were all that the document promises", () => {
    // 401 and 500 are seen in auth.test.ts, 101 in sockets.test.ts; 403 in isolation.test.ts,
    // and 503 a platform in trouble.
    const elsewhere = / (401|403|500|101|503)( |$)/;
    const here = (named: string[]) => named.filter((name) => !elsewhere.test(name));
    expect(judged).toEqual(new Set(here(judge.answers)));
    expect(headers).toEqual(new Set(here(judge.headers)));
  });
});
