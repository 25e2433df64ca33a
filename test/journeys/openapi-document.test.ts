import { createConfig, lintFromString } from "@redocly/openapi-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { WebhookEventName } from "../../src/schema/delivery.ts";
import { startJourney, type Journey } from "../support/journey.ts";
import { OpenApiJudge, type OpenApi } from "../support/openapi.ts";

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
    // methods: an operation is only read, and only letters are posted to. And no route has a place for what is said
    // on a socket once it is open.
    const untrue = new Set([
      "no-ambiguous-paths #/paths/~1api~1admin~1dead-letter~1operations~1{operation_id}",
      "operation-2xx-response #/paths/~1ws~1jobs~1{id}/get/responses",
      "operation-2xx-response #/paths/~1ws/get/responses",
      "no-unused-components #/components/schemas/SocketMessage",
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
      webhook_url: "https://hooks.example.com/",
      callback_headers: { authorization: "Bearer x" },
      webhook_events: ["job.started", "job.failed"],
    };
    expect(judge.faultsAt(body, every)).toEqual([]);
    const { prompt: _, ...rest } = every;
    const messages = [{ role: "user", content: [{ type: "text", text: "x" }] }];
    expect(judge.faultsAt(body, { ...rest, messages })).toEqual([]);
    for (const wrong of [{ promt: "x" }, { priority: 0 }, { metadata: { a: 1 } }, { prompt: "" }]) {
      expect(judge.faultsAt(body, { ...every, ...wrong })).not.toEqual([]);
    }
  });

  it("describes every event that a job's webhook may ask for", () => {
    const { webhooks = {} } = JSON.parse(source) as { webhooks?: object };
    expect(Object.keys(webhooks)).toEqual(WebhookEventName.options);
  });
});
