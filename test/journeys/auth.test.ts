import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Api, expectJson, expectProblem } from "../support/api.ts";
import { refusedUpgrade, SocketFollower } from "../support/follow-socket.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { OpenApiJudge, type OpenApi } from "../support/openapi.ts";
import { startProduct } from "../support/product.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const ADMIN_API_KEY = "admin-key-canary-0123456789-0123456789";

let journey: Journey;
let admin: Api;
let judge: OpenApiJudge;
beforeAll(async () => {
  journey = await startJourney({ AUTH_MODE: "keys" }, { ADMIN_API_KEY, SIGNING_KEY });
  admin = new Api(journey.product.url, { authorization: `Bearer ${ADMIN_API_KEY}` });
  const document = await journey.api.fetch("/openapi.json");
  judge = new OpenApiJudge((await document.json()) as OpenApi);
});
afterAll(() => journey.close());

const ROUTES: [string, string, string][] = [
  ["POST", "/api/jobs", "/api/jobs"],
  ["GET", "/api/jobs/{id}", "/api/jobs/known"],
  ["GET", "/api/jobs/{id}", "/api/jobs/unknown"],
  ["POST", "/api/jobs/{id}/cancel", "/api/jobs/known/cancel"],
  ["POST", "/api/jobs/{id}/retry", "/api/jobs/known/retry"],
  ["DELETE", "/api/jobs/{id}", "/api/jobs/known"],
  ["GET", "/api/jobs/{id}/attempts", "/api/jobs/known/attempts"],
  ["GET", "/api/jobs/{id}/events", "/api/jobs/known/events"],
  ["POST", "/api/jobs/{id}/tokens", "/api/jobs/known/tokens"],
  ["GET", "/ws/jobs/{id}", "/ws/jobs/known"],
  ["GET", "/ws", "/ws"],
  ["GET", "/api/admin/stats", "/api/admin/stats"],
  ["GET", "/metrics", "/metrics"],
  ["POST", "/api/webhook-secret/rotate", "/api/webhook-secret/rotate"],
  ["POST", "/api/webhook-test", "/api/webhook-test"],
];

const WRONG: [string, Record<string, string>][] = [
  ["no key", {}],
  ["an empty one", { authorization: "Bearer " }],
  ["a wrong one", { authorization: `Bearer ${ADMIN_API_KEY.replace("9", "8")}` }],
  ["the beginning of it", { authorization: `Bearer ${ADMIN_API_KEY.slice(0, -1)}` }],
  ["it and a blank", { authorization: `Bearer ${ADMIN_API_KEY} x` }],
  ["it in another scheme", { authorization: `Basic ${ADMIN_API_KEY}` }],
  ["it in a cookie", { cookie: `authorization=${ADMIN_API_KEY}; token=${ADMIN_API_KEY}` }],
  ["it in a header of our own", { "x-api-key": ADMIN_API_KEY }],
];

describe("without its key", () => {
  beforeAll(async () => {
    await admin.submit({ prompt: freshPrompt() }, "known");
  });

  describe.each(WRONG)("but %s", (_, headers) => {
    it.each(ROUTES)("%s %s answers 401 and says how to do better", async (method, path, url) => {
      const response = await journey.api.fetch(url, { method, headers });
      expect(response.headers.get("www-authenticate")).toMatch(/^Bearer\b/);
      expect(response.headers.get("x-auth-mode")).toBeNull();
      const copy = response.clone();
      await expectProblem(response, 401, "unauthorized");
      expect(judge.faultsOf(method, path, copy, await copy.json())).toEqual([]);
    });
  });

  it("a key in the URL opens nothing", async () => {
    for (const name of ["token", "api_key", "key", "access_token"]) {
      const response = await journey.api.fetch(`/api/jobs/known?${name}=${ADMIN_API_KEY}`);
      expect(response.status).toBe(401);
    }
  });

  it("a socket is refused before it opens", async () => {
    expect(await refusedUpgrade(journey.api.url, "/ws/jobs/known")).toBe(401);
    expect(await refusedUpgrade(journey.api.url, "/ws/jobs/unknown")).toBe(401);
    expect(await refusedUpgrade(journey.api.url, "/ws")).toBe(401);
  });

  it("a body is not even read", async () => {
    const body = "x".repeat(2_000_000);
    expect((await journey.api.send(body)).status).toBe(401);
  });

  it("health, the document and a page's preflight are open to all", async () => {
    expect((await journey.api.fetch("/health")).status).toBe(200);
    expect((await journey.api.fetch("/openapi.json")).status).toBe(200);
    const preflight = await journey.api.fetch("/api/jobs", {
      method: "OPTIONS",
      headers: { origin: "https://page.example", "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
  });
});

describe("with its key", () => {
  it("everything works, and nothing says that keys are off", async () => {
    const prompt = freshPrompt("[tokens=5 every=20]");
    const response = await admin.send({ prompt });
    expect(response.headers.get("x-auth-mode")).toBeNull();
    const { job_id } = await expectJson<{ job_id: string }>(response, 202);
    const log = await admin.log(job_id);
    expect(log.at(-1)?.type).toBe("completed");
    expect(await admin.cancel(job_id)).toMatchObject({ status: "completed" });
    const headers = { authorization: `Bearer ${ADMIN_API_KEY}` };
    const socket = await SocketFollower.open(admin.url, `/ws/jobs/${job_id}`, headers);
    expect(await socket.closed).toBe(1000);
    expect(socket.events).toEqual(log);
  });

  it("the scheme may be spelt in any case", async () => {
    const headers = { authorization: `bearer ${ADMIN_API_KEY}` };
    expect((await journey.api.fetch("/api/jobs/known", { headers })).status).toBe(200);
  });

  it("a model whose provider is off is refused with the name of the missing setting", async () => {
    const answer = await admin.send({ prompt: "x", model: "claude-haiku-4-5" });
    const problem = await expectProblem(answer, 400, "invalid-request");
    expect(problem.error).toContain("ANTHROPIC_API_KEY");
    expect(problem.errors).toMatchObject([{ pointer: "/model" }]);
  });
});

describe("the logs (invariant 9)", () => {
  it("hold nothing of a prompt, an answer, metadata or a key, whatever happens to them", async () => {
    const answered = "canary-answer";
    const faults = ["", "[cut=1 x1]", "[status=400]", "[malformed x1]", "[contentFilter]"];
    const prompts = faults.map((fault) => freshPrompt(`canary-prompt ${fault}`));
    const spoken = freshPrompt("canary-prompt");
    journey.script(spoken, () => ({ kind: "answer", tokens: [answered, " and more"] }));
    for (const prompt of [...prompts, spoken]) {
      const job = { prompt, user: "canary-user", metadata: { "canary-name": "canary-value" } };
      const { job_id } = await admin.submit(job, `key-${prompts.indexOf(prompt)}`);
      const follow = admin.log(job_id);
      await admin.ended(job_id);
      await follow;
    }
    await admin.send({ prompt: "canary-prompt", "canary-field": 1 });
    await admin.send('{"prompt":"canary-prompt"');
    await admin.send({ prompt: "canary-prompt", model: "canary-model" });
    await journey.api.fetch("/api/jobs/known?token=canary-token");
    await refusedUpgrade(journey.api.url, "/ws/jobs/known?token=canary-token");
    const lines = journey.product.harness.getLogs().map((line) => JSON.stringify(line));
    expect(lines.filter((line) => line.includes("job.completed")).length).toBeGreaterThan(3);
    expect(lines.filter((line) => /canary|test-key/.test(line))).toEqual([]);
  });
});

describe("a wrong setting", () => {
  it.each([
    ["LEASE_SECONDS", { LEASE_SECONDS: "soon-canary" }, {}],
    ["AUTH_MODE", { AUTH_MODE: "off-canary" }, {}],
    ["MODELS", { MODELS: "{canary" }, {}],
    ["OPENAI_BASE_URL", { OPENAI_BASE_URL: "canary", OPENAI_API_KEY: "k" }, {}],
    ["ADMIN_API_KEY", { AUTH_MODE: "keys" }, { SIGNING_KEY, ADMIN_API_KEY: "canary-short" }],
    ["SIGNING_KEY", { AUTH_MODE: "keys" }, { ADMIN_API_KEY }],
    ["SIGNING_KEY", { AUTH_MODE: "keys" }, { ADMIN_API_KEY, SIGNING_KEY: "canary-short" }],
    ["WEBHOOK_ALLOWED_ORIGINS", { WEBHOOK_ALLOWED_ORIGINS: "http://canary.example/x" }, {}],
  ])("F42: is told by its name and never by its value: %s", async (name, vars, secrets) => {
    const product = await startProduct({ vars, secrets });
    try {
      const api = new Api(product.url);
      const answer = await api.send({ prompt: "x" });
      const copy = answer.clone();
      const problem = await expectProblem(answer, 500, "internal-error");
      expect(judge.faultsOf("POST", "/api/jobs", copy, problem)).toEqual([]);
      expect(problem.error).toContain(name);
      expect((await api.fetch("/health")).status).toBe(500);
      const logs = JSON.stringify(product.harness.getLogs());
      expect(logs).toContain(name);
      expect(`${JSON.stringify(problem)}${logs}`).not.toContain("canary");
    } finally {
      await product.close();
    }
  });
});
