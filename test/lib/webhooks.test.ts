import { describe, expect, it } from "vitest";

import { verifyWebhook, type WebhookHeaders } from "../../lib/webhooks.ts";
import { refusal } from "./refusal.ts";
import { completedBody, OLD_SECRET, SECRET, signed, type SignedHeaders } from "./signed.ts";

const BODY = completedBody();
const EVENT: unknown = JSON.parse(BODY);
const { headers: HEADERS } = signed(BODY);

const withHeaders = (changed: Partial<SignedHeaders>) =>
  refusal(BODY, { ...HEADERS, ...changed }, SECRET);

describe("a genuine delivery", () => {
  const bytes = new TextEncoder().encode(BODY);
  it.each([
    ["text", BODY],
    ["bytes", bytes],
    ["a Buffer", Buffer.from(BODY)],
    ["an ArrayBuffer", bytes.buffer],
    ["a part of a larger buffer", Buffer.from(`..${BODY}..`).subarray(2, -2)],
  ])("is its event, whether its body is given as %s", async (_, body) => {
    expect(await verifyWebhook(body, HEADERS, SECRET)).toEqual(EVENT);
  });

  const shouted = Object.entries(HEADERS).map(([name, value]) => [name.toUpperCase(), value]);
  it.each<[string, WebhookHeaders]>([
    ["Headers", new Headers(HEADERS)],
    ["the headers of a Node request", { host: "x", "set-cookie": ["a", "b"], ...HEADERS }],
    ["values as arrays of one", toArrays(HEADERS)],
    ["names in capitals", Object.fromEntries(shouted) as Record<string, string>],
    ["pairs", shouted as [string, string][]],
    ["an iterator of pairs", new Headers(HEADERS).entries()],
    ["a Map", new Map(Object.entries(HEADERS))],
    ["names without values among them", { a: undefined, ...HEADERS }],
  ])("is known by %s", async (_, headers) => {
    expect(await verifyWebhook(BODY, headers, SECRET)).toEqual(EVENT);
  });

  it("may be signed by the new secret or the old, on either side, while they are being replaced", async () => {
    const both = signed(BODY, { secrets: [SECRET, OLD_SECRET] }).headers;
    expect(await verifyWebhook(BODY, both, SECRET)).toEqual(EVENT);
    expect(await verifyWebhook(BODY, both, OLD_SECRET)).toEqual(EVENT);
    expect(await verifyWebhook(BODY, HEADERS, [OLD_SECRET, SECRET])).toEqual(EVENT);
    expect(await refusal(BODY, HEADERS, [OLD_SECRET])).toBe("no_match");
  });

  it("may hold signatures of other kinds and none at all among its own", async () => {
    const { "webhook-signature": own } = HEADERS;
    expect(await withHeaders({ "webhook-signature": `v1a,AAAA  v2,${own} ${own} v1,` })).toBeNull();
  });

  it("is told of in a union whose types tell its members apart", async () => {
    const event = await verifyWebhook(BODY, HEADERS, SECRET);
    if (event.type !== "job.completed") throw new Error("another event");
    const content: string | undefined = event.result?.content;
    expect(content ?? event.result_url).toBe("Größer als 5 €\u2028 😀");
    expect(event.data.status).toBe("completed");
  });
});

describe("a delivery is refused", () => {
  it.each([
    ["without an id", { "webhook-id": "" }, "missing_header"],
    ["without a time", { "webhook-timestamp": "" }, "missing_header"],
    ["without a signature", { "webhook-signature": "" }, "missing_header"],
    ["with another id", { "webhook-id": "msg_2" }, "no_match"],
    ["with an id that could hide a time", { "webhook-id": "msg_1.1" }, "malformed_header"],
    ["with an id that is no header's", { "webhook-id": "msg 1" }, "malformed_header"],
    ["with an endless id", { "webhook-id": "m".repeat(256) }, "malformed_header"],
    ["with a time in another spelling", { "webhook-timestamp": "1e9" }, "malformed_header"],
    ["with a time before time", { "webhook-timestamp": "-1" }, "malformed_header"],
    ["with a time that trails off", { "webhook-timestamp": "1700000000x" }, "malformed_header"],
    ["with a time padded", { "webhook-timestamp": "01700000000" }, "malformed_header"],
    ["with a fraction of time", { "webhook-timestamp": "1700000000.0" }, "malformed_header"],
    ["with milliseconds", { "webhook-timestamp": String(Date.now()) }, "malformed_header"],
    ["with no v1 signature", { "webhook-signature": "v1a,AAAA" }, "no_match"],
    ["with words for a signature", { "webhook-signature": "constructor" }, "no_match"],
    ["with a short signature", { "webhook-signature": "v1,AAAA" }, "no_match"],
  ] as const)("%s", async (_, headers, code) => {
    expect(await withHeaders(headers)).toBe(code);
  });

  it("with a header that came twice, in whatever way", async () => {
    const twice: [string, string][] = [...Object.entries(HEADERS), ["Webhook-Id", "msg_1"]];
    expect(await refusal(BODY, twice, SECRET)).toBe("malformed_header");
    expect(await refusal(BODY, Object.fromEntries(twice), SECRET)).toBe("malformed_header");
    const array = { ...HEADERS, "webhook-id": ["msg_1", "msg_1"] };
    expect(await refusal(BODY, array, SECRET)).toBe("malformed_header");
  });

  it("with the signature of one secret under the name of the other kind", async () => {
    const [, signature = ""] = HEADERS["webhook-signature"].split(",");
    for (const version of ["v1a", "v2", "V1", "v1 ", ""]) {
      expect(await withHeaders({ "webhook-signature": `${version},${signature}` })).toBe(
        "no_match",
      );
    }
  });

  it("with another spelling of the right signature's bytes", async () => {
    const { "webhook-signature": right } = HEADERS;
    const at = right.length - 2;
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const next = alphabet[alphabet.indexOf(right.charAt(at)) + 1] ?? "";
    const other = `${right.slice(0, at)}${next}=`;
    expect(atob(other.slice(3))).toBe(atob(right.slice(3)));
    expect(await withHeaders({ "webhook-signature": other })).toBe("no_match");
    expect(await withHeaders({ "webhook-signature": right.replaceAll("=", "") })).toBe("no_match");
  });

  it("whose body was parsed and written out again, or changed by one byte", async () => {
    const pretty = JSON.stringify(EVENT, null, 2);
    for (const body of [pretty, `${BODY} `, BODY.slice(1), BODY.replace("ß", "ss"), ""]) {
      expect(await refusal(body, HEADERS, SECRET)).toBe("no_match");
    }
  });

  it.each([
    ["an object", EVENT],
    ["nothing", undefined],
    ["null", null],
    ["a number", 5],
    ["other elements", new Uint16Array(4)],
  ])("whose body is %s instead of what came", async (_, body) => {
    expect(await refusal(body as string, HEADERS, SECRET)).toBe("bad_body");
  });

  it.each([
    ["no JSON", "hello"],
    ["no object", "[]"],
    ["null", "null"],
    ["an object without a type", "{}"],
    ["behind a byte order mark", `\uFEFF${BODY}`],
    ["empty", ""],
  ])("that is genuine, but %s", async (_, body) => {
    expect(await refusal(body, signed(body).headers, SECRET)).toBe("bad_body");
  });

  it("when bytes that are no text stand where a replacement character was signed", async () => {
    const text = JSON.stringify({ type: "webhook.test", word: "\uFFFD" });
    const bytes = Buffer.from(text);
    const at = bytes.indexOf("\uFFFD");
    const forged = Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at + 3)]);
    expect(forged.toString()).toBe(text);
    expect(await refusal(forged, signed(text).headers, SECRET)).toBe("no_match");
  });

  it.each([
    ["no prefix", SECRET.slice(6)],
    ["nothing", ""],
    ["no text", undefined],
    ["too few bytes", `whsec_${btoa("x".repeat(23))}`],
    ["too many bytes", `whsec_${btoa("x".repeat(65))}`],
    ["no base64", `whsec_${"-".repeat(44)}`],
    ["a line's end", `${SECRET}\n`],
    ["none at all", []],
    ["one of them wrong", [SECRET, ""]],
  ])("for a secret that is %s, and nothing of the secret is told", async (_, secret) => {
    const asked = verifyWebhook(BODY, HEADERS, secret as string);
    await expect(asked).rejects.toMatchObject({
      code: "bad_secret",
      name: "WebhookVerificationError",
    });
    await expect(asked).rejects.not.toThrow(SECRET.slice(8, 20));
  });
});

describe("the time of a delivery", () => {
  const at = 1_700_000_000_000;
  const { headers } = signed(BODY, { at });
  const later = (seconds: number, toleranceSeconds?: number) =>
    refusal(BODY, headers, SECRET, {
      now: () => at + seconds * 1_000,
      ...(toleranceSeconds === undefined ? {} : { toleranceSeconds }),
    });

  it.each([
    [0, null],
    [300, null],
    [300.999, null],
    [301, "too_old"],
    [-300, null],
    [-300.001, "too_new"],
    [86_400, "too_old"],
    [-86_400, "too_new"],
  ])("%d s from ours is judged by the default tolerance of 300 s", async (seconds, code) => {
    expect(await later(seconds)).toBe(code);
  });

  it("is judged by the tolerance asked for", async () => {
    expect(await later(5, 5)).toBeNull();
    expect(await later(6, 5)).toBe("too_old");
    expect(await later(1e9, Infinity)).toBeNull();
    expect(await later(0, 0)).toBeNull();
  });

  it("is never right by a tolerance or a clock that is no number", async () => {
    expect(await later(0, NaN)).toBe("too_old");
    expect(await later(NaN)).toBe("too_old");
  });
});

function toArrays(headers: SignedHeaders): Record<string, string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
}
