import { once } from "node:events";
import { createServer, type OutgoingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { httpStepRunner } from "../src/consumer/http-step.ts";
import type { HttpStepOutcome, HttpStepRun, RenderedHttp } from "../src/domain/step-run.ts";
import { sealHeaders, sealStepHeaders } from "../src/secrets/sealed-headers.ts";
import { parseConfig, type Config } from "../src/settings/config.ts";
import {
  answer,
  cutBody,
  endlessBody,
  hang,
  Receiver,
  redirect,
  resetAfterEffect,
  resetBeforeReading,
  slowBody,
  throttle,
  type Step,
} from "./support/receiver.ts";
import { SIGNING_KEY } from "./support/signing-key.ts";

const SECRET = "Bearer step-header-canary";
const BODY_SENT = "body-canary-sent";
const BODY_ANSWERED = "body-canary-answered";

let receiver: Receiver;
let config: Config;
beforeAll(async () => {
  receiver = await Receiver.start();
  config = parseConfig({
    SIGNING_KEY,
    AUTH_MODE: "none",
    WEBHOOK_ALLOWED_ORIGINS: receiver.origin,
  });
});
afterAll(() => receiver.close());

let paths = 0;

/** What comes of a step whose URL does as planned, and what came there. */
async function run(
  plan: Step[],
  rendered: Partial<RenderedHttp> = {},
  over: Partial<HttpStepRun> = {},
  settings = config,
): Promise<{ outcome: HttpStepOutcome; path: string }> {
  paths += 1;
  const path = `/step-${paths}`;
  receiver.plan(path, ...plan);
  const outcome = await httpStepRunner({ config: settings, fetch, now: Date.now })({
    rendered: {
      type: "http",
      method: "GET",
      url: receiver.url(path),
      body: null,
      contentType: "application/json",
      maxBytes: 1_000,
      ...rendered,
    },
    tenant: "acme",
    sealedHeaders: null,
    submittedTo: "https://api.example.com",
    idempotencyKey: "uid.3",
    timeoutMs: 10_000,
    stop: new AbortController().signal,
    ...over,
  });
  return { outcome, path };
}

async function failureOf(...given: Parameters<typeof run>) {
  const { outcome } = await run(...given);
  if (outcome.ok) throw new Error("it succeeded");
  return outcome.failure;
}

/** A server that answers with these bytes. */
async function serving(headers: OutgoingHttpHeaders, body: Buffer) {
  const server = createServer((_, response) => response.writeHead(200, headers).end(body));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    server.close().closeAllConnections();
    await once(server, "close");
  };
  return { origin: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
}

const withHeaders = async (headers: Record<string, string>) => ({
  sealedHeaders: await sealStepHeaders(headers, "acme", config),
});

describe("an http step", () => {
  it("gets, and the answer is its output", async () => {
    const { outcome, path } = await run([answer(200, {}, "é ok")]);
    expect(outcome).toEqual({ ok: true, text: "é ok" });
    const [got] = receiver.at(path);
    expect(got).toMatchObject({ method: "GET", text: "", headers: { "user-agent": "Afterword" } });
    expect(Object.keys(got?.headers ?? {})).not.toContain("idempotency-key");
    expect(Object.keys(got?.headers ?? {})).not.toContain("content-type");
  });

  it("posts, with a key by which a receiver knows what comes again", async () => {
    const post = { method: "POST" as const, body: '{"a":1}' };
    const { outcome, path } = await run([204], post);
    expect(outcome).toEqual({ ok: true, text: "" });
    expect(receiver.at(path)).toMatchObject([
      {
        method: "POST",
        text: '{"a":1}',
        headers: { "content-type": "application/json", "idempotency-key": "uid.3" },
      },
    ]);
  });

  it("sends its sealed headers, and none in the place of ours", async () => {
    const sealed = await withHeaders({ authorization: SECRET, "X-Mine": "mine" });
    const { path } = await run([200], {}, sealed);
    expect(receiver.at(path)[0]?.headers).toMatchObject({
      authorization: SECRET,
      "x-mine": "mine",
      "user-agent": "Afterword",
    });
  });

  it("does not make its headers readable where the answer repeats them", async () => {
    const echo = JSON.stringify({
      authorization: SECRET,
      accept: "application/json",
      short: "abc",
    });
    const own = { authorization: SECRET, accept: "application/json", "x-short": "abc" };
    const { outcome } = await run([answer(200, {}, echo)], {}, await withHeaders(own));
    expect(outcome).toEqual({
      ok: true,
      text: '{"authorization":"…","accept":"application/json","short":"abc"}',
    });
  });

  it("takes an answer of just its bytes, unpacked, and no byte more", async () => {
    expect((await run([answer(200, {}, "x".repeat(1_000))])).outcome.ok).toBe(true);
    const tooLong = {
      code: "provider_rejected",
      message: "The answer of the step's URL is longer than 1000 bytes",
      remedy: "give_up",
      retryAfterMs: null,
    };
    expect(await failureOf([answer(200, {}, "x".repeat(1_001))])).toEqual(tooLong);
    expect(await failureOf([endlessBody()])).toEqual(tooLong);
    const zipped = gzipSync("x".repeat(100_000));
    expect(zipped.byteLength).toBeLessThan(1_000);
    await using server = await serving({ "content-encoding": "gzip" }, zipped);
    const local = parseConfig({
      SIGNING_KEY,
      AUTH_MODE: "none",
      WEBHOOK_ALLOWED_ORIGINS: server.origin,
    });
    expect(await failureOf([], { url: `${server.origin}/` }, {}, local)).toEqual(tooLong);
    // Each byte that is no UTF-8 is three of the text.
    await using torn = await serving({}, Buffer.alloc(400, 0xff));
    const other = parseConfig({
      SIGNING_KEY,
      AUTH_MODE: "none",
      WEBHOOK_ALLOWED_ORIGINS: torn.origin,
    });
    expect(await failureOf([], { url: `${torn.origin}/` }, {}, other)).toEqual(tooLong);
  });

  it("leaves a URL alone that hangs, and one whose job was cancelled", async () => {
    expect(await failureOf([hang], {}, { timeoutMs: 50 })).toMatchObject({
      code: "timeout",
      message: "The step's URL did not answer in time",
      remedy: "retry",
    });
    expect(await failureOf([slowBody(20)], {}, { timeoutMs: 100 })).toMatchObject({
      code: "timeout",
    });
    const cancel = new AbortController();
    const stopped = run([hang], {}, { stop: cancel.signal });
    const path = `/step-${paths}`;
    await receiver.received(1, { path });
    cancel.abort();
    expect((await stopped).outcome.ok).toBe(false);
    await receiver.until(() => receiver.at(path)[0]?.leftEarly === true, "the client to leave");
  });
});

describe("a failure of an http step", () => {
  const unavailable = { code: "provider_unavailable", remedy: "retry" };
  const refused = { code: "provider_rejected", remedy: "give_up" };

  it.each<[string, Step, object]>([
    ["503", 503, { ...unavailable, message: "HTTP 503 from the step's URL" }],
    ["500", 500, unavailable],
    ["408", 408, unavailable],
    ["425", 425, unavailable],
    [
      "429, after a while",
      throttle("7"),
      { code: "rate_limited", remedy: "retry", retryAfterMs: 7_000 },
    ],
    ["503, after a while", throttle("2", 503), { ...unavailable, retryAfterMs: 2_000 }],
    ["400", 400, refused],
    ["401", 401, refused],
    ["404", 404, { ...refused, message: "HTTP 404 from the step's URL" }],
    ["409", 409, refused],
    [
      "an answer cut off",
      cutBody("half"),
      { ...unavailable, message: "The answer of the step's URL broke off" },
    ],
    [
      "no answer",
      resetAfterEffect,
      { ...unavailable, message: "The step's URL could not be reached" },
    ],
    ["no connection", resetBeforeReading, unavailable],
  ])("for %s is what its job can use", async (_, step, failure) => {
    expect(await failureOf([step])).toMatchObject(failure);
  });

  it("is a redirect, wherever it leads", async () => {
    const to = receiver.url("/elsewhere");
    for (const status of [301, 302, 303, 307, 308] as const) {
      expect(await failureOf([redirect(status, to)])).toMatchObject({
        ...refused,
        message: `HTTP ${status} from the step's URL; redirects are not followed`,
      });
    }
    expect(receiver.at("/elsewhere")).toEqual([]);
  });

  it.each([
    ["https://127.0.0.1/", "The step's URL is refused: it names an IP address"],
    ["http://a.example/", "The step's URL is refused: it is not https"],
    ["https://api.example.com/", "The step's URL is refused: it names a host of this service"],
    [
      `https://a.example/${"x".repeat(2_048)}`,
      "The step's URL is refused: it is longer than 2048 characters",
    ],
  ])("is a URL that may not be asked (any more), and nothing is sent: %s", async (url, message) => {
    expect(await failureOf([], { url })).toEqual({ ...refused, message, retryAfterMs: null });
  });

  it("is headers that cannot be opened, for they were sealed for others", async () => {
    const others = await sealStepHeaders({ a: "b" }, "other", config);
    const callbacks = await sealHeaders({ a: "b" }, "acme", config);
    for (const sealedHeaders of [others, callbacks, "v1.nonsense"]) {
      expect(await failureOf([200], {}, { sealedHeaders })).toMatchObject({
        code: "internal",
        message: "The step's headers cannot be read",
        remedy: "retry",
      });
    }
  });

  it("holds nothing of what was sent or answered", async () => {
    const sealed = await withHeaders({ authorization: SECRET });
    const post = { method: "POST" as const, body: BODY_SENT };
    const steps: Step[] = [400, 503, 302].map((status) =>
      answer(status, { location: `/${BODY_ANSWERED}`, "x-a": BODY_ANSWERED }, BODY_ANSWERED),
    );
    const others: Step[] = [cutBody(BODY_ANSWERED), endlessBody(), resetAfterEffect];
    for (const step of [...steps, ...others]) {
      const told = JSON.stringify(await failureOf([step], post, sealed));
      expect(told).not.toMatch(/canary|127\.0\.0\.1|step-\d/);
    }
  });
});
