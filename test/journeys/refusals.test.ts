import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Problem } from "../../src/schema/error.ts";
import { expectProblem } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

const prompt = "A prompt the provider must never see";

/** JSON nested so deep, of which the first four levels are the way there. */
function nested(depth: number): string {
  const schema = `${'{"a":'.repeat(depth - 4)}1${"}".repeat(depth - 4)}`;
  const format = `{"type":"json_schema","json_schema":{"name":"deep","schema":${schema}}}`;
  return `{"prompt":${JSON.stringify(prompt)},"params":{"response_format":${format}}}`;
}

function pairs(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, "v"]));
}

describe("a body that does not fit", () => {
  const bodies: [string, unknown, string | RegExp, string | null][] = [
    ["neither prompt nor messages", {}, "prompt is required", "/prompt"],
    ["an empty prompt", { prompt: "" }, "prompt is required", "/prompt"],
    [
      "both prompt and messages",
      { prompt, messages: [{ role: "user", content: "x" }] },
      /exactly one of prompt, messages and steps/,
      "/prompt",
    ],
    ["no messages", { messages: [] }, /^messages/, "/messages"],
    [
      "a message of an unknown role",
      { messages: [{ role: "robot", content: "x" }] },
      /^messages/,
      "/messages/0/role",
    ],
    ["an unknown field", { prompt, promt: "x" }, /promt/, ""],
    ["an unknown parameter", { prompt, params: { temprature: 1 } }, /temprature/, "/params"],
    ["no steps", { steps: [] }, /^steps/, "/steps"],
    ["a number as prompt", { prompt: 7 }, "prompt is required", "/prompt"],
    ["null as prompt", { prompt: null }, /^prompt/, "/prompt"],
    [
      "text as temperature",
      { prompt, params: { temperature: "hot" } },
      /temperature/,
      "/params/temperature",
    ],
    [
      "a temperature of 3",
      { prompt, params: { temperature: 3 } },
      /temperature/,
      "/params/temperature",
    ],
    ["no tokens at all", { prompt, params: { max_tokens: 0 } }, /max_tokens/, "/params/max_tokens"],
    ["a list as body", [], /./, ""],
    ["text as body", '"prompt"', /./, ""],
    ["null as body", "null", /./, ""],
    ["an unknown model", { prompt, model: "gpt-0" }, /gpt-0/, "/model"],
    ["an unknown provider's model", { prompt, model: "acme/gpt-4o" }, /acme/, "/model"],
    ["a provider's unknown model", { prompt, model: "openai/gpt-0" }, /gpt-0/, "/model"],
    [
      "a property every object has as model",
      { prompt, model: "constructor" },
      /constructor/,
      "/model",
    ],
    [
      "an unknown fallback",
      { prompt, fallback_models: ["gpt-4o-mini", "gpt-0"] },
      /gpt-0/,
      "/fallback_models/1",
    ],
    [
      "five fallbacks",
      { prompt, fallback_models: Array(5).fill("gpt-4o") },
      /fallback_models/,
      "/fallback_models",
    ],
    ["priority 0", { prompt, priority: 0 }, /^priority/, "/priority"],
    ["priority 11", { prompt, priority: 11 }, /^priority/, "/priority"],
    ["priority 1.5", { prompt, priority: 1.5 }, /^priority/, "/priority"],
    ['priority "1"', { prompt, priority: "1" }, /^priority/, "/priority"],
    ["an unknown profile", { prompt, profile: "fast" }, /^profile/, "/profile"],
    ["0 attempts", { prompt, max_attempts: 0 }, /^max_attempts/, "/max_attempts"],
    ["11 attempts", { prompt, max_attempts: 11 }, /^max_attempts/, "/max_attempts"],
    ["a negative delay", { prompt, delay_seconds: -1 }, /^delay_seconds/, "/delay_seconds"],
    ["no time to live", { prompt, ttl_seconds: 0 }, /^ttl_seconds/, "/ttl_seconds"],
    ["no retention", { prompt, retention_seconds: 0 }, /^retention_seconds/, "/retention_seconds"],
    ["17 pairs of metadata", { prompt, metadata: pairs(17) }, /^metadata/, "/metadata"],
    [
      "a metadata key of 65 characters",
      { prompt, metadata: { ["k".repeat(65)]: "v" } },
      /^metadata/,
      null,
    ],
    [
      "a metadata value of 513 characters",
      { prompt, metadata: { k: "v".repeat(513) } },
      /^metadata/,
      "/metadata/k",
    ],
    ["a number as metadata", { prompt, metadata: { k: 1 } }, /^metadata/, "/metadata/k"],
    ["JSON 65 deep", nested(65), /deeper than 64/, null],
    ["65 open brackets", "[".repeat(65), /deeper than 64/, null],
    ["a million open brackets", "[".repeat(1_000_000), /deeper than 64/, null],
    ["half of a JSON text", '{"prompt":"x"', /./, null],
    ["no JSON", "prompt=x", /./, null],
    ["an empty text", "", /./, null],
  ];

  it.each(bodies)("is refused with 400 for %s", async (_, body, error, pointer) => {
    const problem = await expectProblem(await journey.api.send(body), 400, "invalid-request");
    expect(problem.error).toMatch(typeof error === "string" ? new RegExp(`^${error}$`) : error);
    if (pointer !== null) expect(problem.errors?.map((fault) => fault.pointer)).toContain(pointer);
  });

  it("is refused with 400 where it is not UTF-8", async () => {
    for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80]]) {
      const body = Buffer.concat([
        Buffer.from('{"prompt":"'),
        Buffer.from(bytes),
        Buffer.from('"}'),
      ]);
      const headers = { "content-type": "application/json" };
      const response = await journey.api.fetch("/api/jobs", { method: "POST", body, headers });
      expect((await expectProblem(response, 400, "invalid-request")).error).toMatch(/UTF-8/);
    }
  });

  it("is refused with 400 where there is none", async () => {
    const headers = { "content-type": "application/json" };
    const response = await journey.api.fetch("/api/jobs", { method: "POST", headers });
    await expectProblem(response, 400, "invalid-request");
  });

  it("takes metadata and depth up to their limits", async () => {
    const most = { ...pairs(15), ["k".repeat(64)]: "v".repeat(512) };
    await journey.api.submit({ prompt: freshPrompt(), metadata: most });
    const deep = nested(64).replace(prompt, freshPrompt());
    expect((await journey.api.send(deep)).status).toBe(202);
  });

  it.each([
    ["with its length announced", false],
    ["in chunks, its length not announced", true],
  ])("is refused with 413 at 1 MiB and a byte, %s", async (_, chunked) => {
    const frame = JSON.stringify({ prompt: "" }).length;
    const body = JSON.stringify({ prompt: "x".repeat(1_048_577 - frame) });
    expect(body).toHaveLength(1_048_577);
    const response = chunked ? await sendInChunks(body) : await journey.api.send(body);
    await expectProblem(response, 413, "payload-too-large");
  });

  it("is refused with 413 where it is small but would outgrow its row as it is kept", async () => {
    const numbers = Array(200_000).fill("1e20").join(",");
    const format = `{"type":"json_schema","json_schema":{"name":"big","schema":{"enum":[${numbers}]}}}`;
    const body = `{"prompt":${JSON.stringify(prompt)},"params":{"response_format":${format}}}`;
    expect(body.length).toBeLessThan(1_048_576);
    const problem = await expectProblem(await journey.api.send(body), 413, "payload-too-large");
    expect(problem.error).toMatch(/1900000 bytes/);
  });

  it.each([["text/plain"], ["application/x-www-form-urlencoded"], ["application/jsonp"], [""]])(
    "is refused with 415 as %s",
    async (type) => {
      const body = new Blob([JSON.stringify({ prompt })]);
      const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
      const response = await journey.api.fetch("/api/jobs", { method: "POST", headers, body });
      await expectProblem(response, 415, "unsupported-media-type");
    },
  );

  it.each([["a b"], ["clé"], ["k".repeat(256)], [""]])(
    "is refused with 400 for the Idempotency-Key %j",
    async (key) => {
      const problem = await expectProblem(
        await journey.api.send({ prompt }, key),
        400,
        "invalid-request",
      );
      expect(problem.error).toMatch(/Idempotency-Key/i);
    },
  );

  it("never reached the provider", () => {
    expect(journey.provider.callsFor(prompt)).toEqual([]);
  });
});

/** A request whose body has no announced length. */
function sendInChunks(body: string): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: new Blob([body]).stream(), duplex: "half" };
  return journey.api.fetch("/api/jobs", init);
}

function withoutRequestId({ request_id: _id, ...problem }: Problem) {
  return problem;
}

describe("an unknown job", () => {
  it("is answered by the same 404, whatever it is called and whatever is asked of it", async () => {
    const ids = [
      "unknown",
      "job_AAAAAAAAAAAAAAAAAAAAAA",
      "k".repeat(65),
      "a%20b",
      "%F0%9F%98%80",
      "a.b",
    ];
    const answers: [string, Headers][] = [];
    for (const id of ids) {
      for (const [path, method] of [
        ["", "GET"],
        ["/events", "GET"],
        ["/cancel", "POST"],
      ] as const) {
        const response = await journey.api.fetch(`/api/jobs/${id}${path}`, { method });
        const copy = response.clone();
        const problem = await expectProblem(response, 404, "job-not-found");
        expect(withoutRequestId(problem)).toMatchObject({
          error: "Job not found",
          title: "Job not found",
        });
        answers.push([(await copy.text()).replace(problem.request_id, ""), copy.headers]);
      }
    }
    expect(new Set(answers.map(([body]) => body)).size).toBe(1);
    const names = answers.map(([, headers]) => [...headers.keys()].join());
    expect(new Set(names).size).toBe(1);
  });
});

describe("every answer", () => {
  it.each([["/nope"], ["/api/nope"], ["/api/jobs/a/nope"], ["/api/jobs/"], ["/api/jobs/%zz"]])(
    "is problem+json where there is nothing: %s",
    async (path) => {
      const response = await journey.api.fetch(path);
      expect(response.status).toBe(404);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      expect(((await response.json()) as Problem).request_id).toMatch(/^req_/);
    },
  );

  it("has a request id of its own", async () => {
    const ids = await Promise.all(
      [1, 2, 3].map(async () => (await journey.api.fetch("/health")).headers.get("x-request-id")),
    );
    expect(new Set(ids).size).toBe(3);
  });

  it("may be read by a page of any origin, without credentials", async () => {
    const asked = { origin: "https://page.example", "access-control-request-method": "POST" };
    const response = await journey.api.fetch("/api/jobs", {
      method: "OPTIONS",
      headers: {
        ...asked,
        "access-control-request-headers": "authorization,content-type,idempotency-key",
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(response.headers.get("access-control-allow-credentials")).toBeNull();
    expect(response.headers.get("access-control-allow-methods")).toContain("POST");
    const allowed = response.headers.get("access-control-allow-headers")?.toLowerCase();
    for (const name of ["authorization", "content-type", "idempotency-key"]) {
      expect(allowed).toContain(name);
    }
    const refused = await journey.api.fetch("/api/jobs/unknown", { headers: asked });
    expect(refused.headers.get("access-control-allow-origin")).toBe("*");
    expect(refused.headers.get("access-control-expose-headers")).toMatch(/retry-after/i);
  });

  it("tells a WebSocket's address what it is", async () => {
    const response = await journey.api.fetch("/ws/jobs/unknown");
    await expectProblem(response, 426, "upgrade-required");
  });
});
