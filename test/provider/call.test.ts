import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { parseConfig } from "../../src/config.ts";
import { liveModel, type ModelCall } from "../../src/provider/call.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

/** A provider that answers each call with a stream of the frames its prompt holds. */
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
  response.writeHead(200, { "content-type": "text/event-stream" });
  const frames = JSON.parse(messages[0].content) as unknown[];
  response.end(frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join(""));
}

async function called(frames: unknown[], route: Partial<ModelCall["route"]> = {}) {
  const { port } = provider.address() as AddressInfo;
  const config = parseConfig({
    SIGNING_KEY,
    OPENROUTER_API_KEY: "key",
    OPENROUTER_BASE_URL: `http://127.0.0.1:${port}/v1`,
  });
  const asked: ModelCall = {
    route: {
      name: "openrouter/any",
      provider: "openrouter",
      model: "any",
      price: { input: 1, output: 1 },
      ...route,
    },
    request: { prompt: JSON.stringify(frames) },
    timeoutMs: 10_000,
  };
  let text = "";
  const outcome = await liveModel(config)(
    asked,
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
