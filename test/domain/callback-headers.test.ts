import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { callbackHeaderFaults, withoutHeaderValues } from "../../src/domain/callback-headers.ts";

const REFUSED = "is not the caller's to set";
const NO_NAME = "is not a header's name of at most 64 characters";
const TWICE = "is there already, in other letters";
const LONG_VALUE = "has a value of more than 4096 characters";
const ODD_VALUE = "has a value with other than printable ASCII characters";
const TOO_MANY = { name: null, detail: "are more than 20" };
const TOO_LONG = { name: null, detail: "are longer than 8192 characters together" };

/** An own property whatever its name, as JSON.parse makes it. */
const headersOf = (...entries: [name: string, value: string][]): Record<string, string> =>
  Object.fromEntries(entries);

const many = (count: number): Record<string, string> =>
  headersOf(...Array.from({ length: count }, (_, at): [string, string] => [`x-${at}`, "v"]));

const ALLOWED_NAMES = `
  authorization Authorization x-api-key X-Request-Id traceparent accept idempotency-key
  x-tenant cf x-cf-ray contents hostname x-ms-version x-host-id webhook x-webhooks my-webhook-id proxy
  secret sec x-forward te2 a !#$%&'*+-.^_\`|~09AZaz proto constructors toString if-match
`
  .trim()
  .split(/\s+/);

const REFUSED_NAMES = `
  host Host HOST connection keep-alive transfer-encoding te trailer upgrade http2-settings
  expect accept-encoding max-forwards user-agent origin referer cookie Cookie cookie2
  set-cookie set-cookie2 date via forwarded cdn-loop true-client-ip x-real-ip x-client-ip
  x-cluster-client-ip fastly-client-ip x-http-method X-HTTP-Method-Override
  x-method-override x-host x-rewrite-url x-original-url x-original-host content-type
  Content-Length content-encoding content- content-md5 proxy-authorization
  proxy-connection sec-fetch-site Sec-WebSocket-Key cf-connecting-ip CF-Ray cf-worker
  x-forwarded-for X-Forwarded-Host x-forwarded webhook-id Webhook-Signature
  webhook-timestamp webhook- svix-id svix-signature x-webhook-signature
  X-Webhook-Timestamp x-webhook- metadata Metadata-Flavor x-amz-date
  x-aws-ec2-metadata-token x-goog-api-key X-Google-Metadata-Request __proto__
  constructor Constructor prototype
`
  .trim()
  .split(/\s+/);

const NO_NAMES = [
  "",
  " ",
  "x y",
  "x:",
  ":path",
  "x\r\nhost",
  "x\0",
  "größe",
  "x/y",
  "x(y)",
  "x,y",
  "x;y",
  "x=y",
  "x@y",
  "[x]",
  "{x}",
  '"x"',
  "x\\y",
  "x?",
  "<x>",
  "x\t",
  "x ",
  "ｘ",
  "x".repeat(65),
];

describe("callback headers", () => {
  it.each([...ALLOWED_NAMES, "x".repeat(64)])("may be called %s", (name) => {
    expect(callbackHeaderFaults(headersOf([name, "v"]))).toEqual([]);
  });

  it.each(REFUSED_NAMES)("may not be called %s", (name) => {
    expect(callbackHeaderFaults(headersOf([name, "v"]))).toEqual([{ name, detail: REFUSED }]);
  });

  it.each(NO_NAMES)("have names that HTTP knows, not %j", (name) => {
    expect(callbackHeaderFaults(headersOf([name, "v"]))).toEqual([{ name, detail: NO_NAME }]);
  });

  it.each([
    ["nothing", "", null],
    ["every printable character", String.fromCodePoint(...range(0x20, 0x7e)), null],
    ["a token", "Bearer sk-live_0123==", null],
    ["4096 characters", "v".repeat(4_096), null],
    ["4097 characters", "v".repeat(4_097), LONG_VALUE],
    ["a line's end", "v\r\nhost: evil", ODD_VALUE],
    ["a bare line feed at the end", "v\n", ODD_VALUE],
    ["a tab", "a\tb", ODD_VALUE],
    ["a null", "a\0b", ODD_VALUE],
    ["a DEL", "a\u007fb", ODD_VALUE],
    ["a letter beyond ASCII", "größe", ODD_VALUE],
    ["an emoji", "👍", ODD_VALUE],
  ])("have a value of %s", (_, value, detail) => {
    const faults = detail === null ? [] : [{ name: "x-key", detail }];
    expect(callbackHeaderFaults({ "x-key": value })).toEqual(faults);
  });

  it("are twenty at most", () => {
    expect(callbackHeaderFaults(many(20))).toEqual([]);
    expect(callbackHeaderFaults(many(21))).toEqual([TOO_MANY]);
    expect(callbackHeaderFaults({})).toEqual([]);
  });

  it("are 8 KB at most, their names counted", () => {
    const rest = "v".repeat(8_192 - 4_096 - 2 - 1);
    expect(callbackHeaderFaults({ a: "v".repeat(4_096), b: rest })).toEqual([]);
    expect(callbackHeaderFaults({ a: "v".repeat(4_096), bc: `${rest}v` })).toEqual([TOO_LONG]);
    expect(callbackHeaderFaults({ ["x".repeat(8_193)]: "" })).toEqual([TOO_LONG]);
  });

  it("are not there twice in different letters", () => {
    const faults = callbackHeaderFaults({ "x-key": "a", "X-Key": "b", "x-KEY": "c" });
    expect(faults).toEqual([
      { name: "X-Key", detail: TWICE },
      { name: "x-KEY", detail: TWICE },
    ]);
    const loudFirst = callbackHeaderFaults({ "X-KEY": "a", "x-key": "b" });
    expect(loudFirst).toEqual([{ name: "x-key", detail: TWICE }]);
  });

  it("are each told what is wrong with them", () => {
    const headers = { Host: "a\n", "x-ok": "v", "x y": "v", "x-long": "v".repeat(4_097) };
    expect(callbackHeaderFaults(headers)).toEqual([
      { name: "Host", detail: REFUSED },
      { name: "Host", detail: ODD_VALUE },
      { name: "x y", detail: NO_NAME },
      { name: "x-long", detail: LONG_VALUE },
    ]);
  });

  const TOLD = [REFUSED, NO_NAME, TWICE, LONG_VALUE, ODD_VALUE, TOO_MANY.detail, TOO_LONG.detail];

  it("may be anything at all without harm, and no value is repeated", () => {
    const text = fc.string({ unit: "binary", maxLength: 80 });
    fc.assert(
      fc.property(fc.dictionary(text, text, { maxKeys: 25 }), (headers) => {
        for (const { name, detail } of callbackHeaderFaults(headers)) {
          expect(TOLD).toContain(detail);
          if (name !== null) expect(Object.keys(headers)).toContain(name);
        }
      }),
    );
  });

  it("that are found without fault are what the runtime sends, each by itself", () => {
    const name = fc.stringMatching(/^[A-Za-z-]{1,12}$/);
    const value = fc.stringMatching(/^[\x20-\x7e]{0,20}$/);
    fc.assert(
      fc.property(fc.dictionary(name, value), (headers) => {
        fc.pre(callbackHeaderFaults(headers).length === 0);
        const meant = Object.entries(headers).map(([key, text]) => [
          key.toLowerCase(),
          text.trim(),
        ]);
        expect(Object.fromEntries(new Headers(headers))).toEqual(Object.fromEntries(meant));
      }),
    );
  });

  it("are judged alike in whatever letters they come", () => {
    const refused = fc.constantFrom("host", "content-type", "webhook-id", "cookie", "x-amz-date");
    const shouted = refused.chain((name) =>
      fc.mixedCase(fc.constant(name), { toggleCase: (letter) => letter.toUpperCase() }),
    );
    fc.assert(
      fc.property(shouted, (name) => {
        expect(callbackHeaderFaults({ [name]: "v" })).toEqual([{ name, detail: REFUSED }]);
      }),
    );
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

describe("an answer that writes out the headers it was sent", () => {
  const SECRET = 'Bearer canary-"7"-end';
  const headers = { authorization: SECRET, "x-page": "faq" };

  it.each([
    ["as they are", `authorization: ${SECRET}`, "authorization: …"],
    ["without their scheme", 'got canary-"7"-end twice: canary-"7"-end', "got … twice: …"],
    ["as JSON", JSON.stringify({ authorization: SECRET }), '{"authorization":"…"}'],
    ["cut off within", 'authorization: Bearer canary-"7', "authorization: …"],
    ["cut off within, without its scheme", "token=canary", "token=…"],
  ])("does not keep the values, %s", (_, answer, kept) => {
    expect(withoutHeaderValues(answer, headers)).toBe(kept);
  });

  it("keeps what is too short to be a secret, and all else", () => {
    const answer = 'faq: 500 "Internal Server Error", Bearer';
    expect(withoutHeaderValues(answer, headers)).toBe('faq: 500 "Internal Server Error", …');
    expect(withoutHeaderValues(answer, {})).toBe(answer);
  });

  it("never holds one, whatever it is, and is never longer than it was", () => {
    const value = fc.stringMatching(/^[\x20-\x7e]{4,30}$/);
    fc.assert(
      fc.property(value, fc.string(), fc.string(), (secret, before, after) => {
        const answer = `${before}${secret}${after}`;
        const kept = withoutHeaderValues(answer, { "x-secret": secret });
        expect(kept).not.toContain(secret);
        expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(Buffer.byteLength(answer));
      }),
    );
  });

  it.each(["X_Webhook_Signature", "content_length", "x_forwarded_for", "user_agent"])(
    "is not sent %s either, which some receivers cannot tell from the refused one",
    (name) => {
      expect(callbackHeaderFaults({ [name]: "v" })).toEqual([{ name, detail: REFUSED }]);
    },
  );
});
