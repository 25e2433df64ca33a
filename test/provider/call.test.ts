import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { parseConfig } from "../../src/settings/config.ts";
import { liveModel, type ModelCall } from "../../src/provider/call.ts";
import { startProvider, type ProviderServer } from "../support/provider-server.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

type Script = { frames: unknown[]; headers: Record<string, string> };

/** A provider that answers each call with a stream of the frames its prompt holds, under the headers it holds. */
let provider: Server;
beforeAll(async () => {
  provider = createServer((request, response) => void respond(request, response));
  await once(provider.listen(0, "127.0.0.1"), "listening");
});
afterAll(async () => {
  provider.close().closeAllConnections();
  await once(provider, "close");
});

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { messages } = (await json(request)) as { messages: [{ content: string }] };
  const { frames, headers } = JSON.parse(messages[0].content) as Script;
  response.writeHead(200, { "content-type": "text/event-stream", ...headers });
  response.end(frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join(""));
}

function called(
  frames: unknown[],
  route: Partial<ModelCall["route"]> = {},
  headers: Script["headers"] = {},
) {
  const { port } = provider.address() as AddressInfo;
  const script: Script = { frames, headers };
  return asked(`http://127.0.0.1:${port}/v1`, JSON.stringify(script), route);
}

async function asked(baseUrl: string, prompt: string, route: Partial<ModelCall["route"]> = {}) {
  const config = parseConfig({
    SIGNING_KEY,
    OPENROUTER_API_KEY: "key",
    OPENROUTER_BASE_URL: baseUrl,
  });
  const call: ModelCall = {
    route: {
      name: "openrouter/any",
      provider: "openrouter",
      model: "any",
      price: { input: 1, output: 1 },
      ...route,
    },
    request: { prompt },
    timeoutMs: 10_000,
  };
  let text = "";
  const outcome = await liveModel(config)(
    call,
    (more) => (text += more),
    new AbortController().signal,
  );
  return { text, outcome };
}

const said = (content: string) => ({
  choices: [{ index: 0, delta: { content }, finish_reason: null }],
});
const over = { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
const outage = { error: { code: 502, message: "Provider returned an error" } };
const status = { kind: "status", status: 502, retryAfterMs: null };

describe("an error frame with a numeric code", () => {
  it("in mid-answer is that error, of a call that had begun and said so much", async () => {
    const { text, outcome } = await called([said("Half an "), said("ansé"), outage]);
    expect(text).toBe("Half an ansé");
    expect(outcome).toEqual({
      ok: false,
      error: status,
      usage: null,
      begun: true,
      answerBytes: Buffer.byteLength(text),
    });
  });

  it("before anything else is that error, of a call that had not begun", async () => {
    const { outcome } = await called([outage]);
    expect(outcome).toEqual({
      ok: false,
      error: status,
      usage: null,
      begun: false,
      answerBytes: 0,
    });
  });
});

it("an answer that is whole had begun, and counts its bytes", async () => {
  const { outcome } = await called([said("A whole answer"), over]);
  expect(outcome).toMatchObject({ ok: true, begun: true, answerBytes: 14 });
});

it("a call to a provider that is off never began", async () => {
  const { outcome } = await called([], { provider: "openai" });
  expect(outcome).toEqual({
    ok: false,
    error: { kind: "not_configured" },
    usage: null,
    begun: false,
    answerBytes: 0,
  });
});

describe("what the provider says of its limits", () => {
  let limiting: ProviderServer;
  beforeAll(async () => {
    limiting = await startProvider();
  });
  afterAll(() => limiting.close());

  const SAID =
    "x-ratelimit-limit-requests:60,x-ratelimit-remaining-requests:59,x-ratelimit-reset-requests:1s";
  const LEARNED = {
    requests: { limit: 60, remaining: 59, resetMs: 1_000 },
    tokens: null,
    retryAfterMs: null,
  };

  it("comes with an answer, whose text is as whole as without", async () => {
    const { text, outcome } = await asked(limiting.url, `[tokens=3 headers=${SAID}]`);
    expect(outcome).toMatchObject({ ok: true, begun: true, learned: LEARNED });
    expect(text).toMatch(/^a\d+\.0 a\d+\.1 a\d+\.2 $/);
  });

  it("comes with a refusal, and its wait is the error's", async () => {
    const { outcome } = await asked(
      limiting.url,
      `[status=429 retry-after=20 headers=${SAID.replace(":59", ":0")}]`,
    );
    expect(outcome).toMatchObject({
      ok: false,
      error: { kind: "status", status: 429, retryAfterMs: 20_000 },
      learned: { requests: { limit: 60, remaining: 0, resetMs: 1_000 }, retryAfterMs: 20_000 },
    });
  });

  it("may be exact to the millisecond", async () => {
    const { outcome } = await asked(limiting.url, "[status=503 headers=retry-after-ms:1250]");
    expect(outcome).toMatchObject({
      error: { kind: "status", status: 503, retryAfterMs: 1_250 },
      learned: { requests: null, tokens: null, retryAfterMs: 1_250 },
    });
  });

  it("comes with an answer that fails after it began", async () => {
    const { outcome } = await called([said("Half an "), outage], {}, { "retry-after": "3" });
    expect(outcome).toMatchObject({ ok: false, begun: true, learned: { retryAfterMs: 3_000 } });
  });

  it("is absent where it says nothing, and where it never answered", async () => {
    const silent = await asked(limiting.url, "[tokens=1]");
    expect(silent.outcome).not.toHaveProperty("learned");
    const unreachable = await asked("http://127.0.0.1:1/v1", "[tokens=1]");
    expect(unreachable.outcome).toMatchObject({ error: { kind: "unreachable" } });
    expect(unreachable.outcome).not.toHaveProperty("learned");
  });
});
