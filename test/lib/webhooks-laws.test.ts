import fc from "fast-check";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { describe, expect, it } from "vitest";

import { verifyWebhook, type WebhookHeaders } from "../../lib/webhooks.ts";
import { refusal } from "./refusal.ts";
import { completedBody, SECRET, signed, type SignedHeaders } from "./signed.ts";

const BODY = completedBody();
const { headers: HEADERS } = signed(BODY);

/** Delivers what this signer signed now, as text and as bytes. */
async function genuine(
  Signer: typeof Standard | typeof Svix,
  id: string,
  body: string,
  secret: string,
): Promise<void> {
  const at = new Date();
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Signer(secret).sign(id, at, body),
  };
  const event: unknown = JSON.parse(body);
  expect(await verifyWebhook(body, headers, secret)).toEqual(event);
  expect(await verifyWebhook(Buffer.from(body), headers, [SECRET, secret])).toEqual(event);
}

async function refused(body: unknown, headers: unknown): Promise<void> {
  const code = await refusal(body as string, headers as WebhookHeaders, SECRET);
  expect(code).not.toBeNull();
}

describe("against the other verifiers", () => {
  const id = fc.stringMatching(/^[!-\-/-~]{1,64}$/);
  const body = fc.json().map((json) => `{"type":"webhook.test","data":${json}}`);
  const key = fc.uint8Array({ minLength: 24, maxLength: 64 });
  const secret = key.map((bytes) => `whsec_${Buffer.from(bytes).toString("base64")}`);

  it("all that standardwebhooks and svix sign is genuine", async () => {
    const signers = fc.constantFrom<typeof Standard | typeof Svix>(Standard, Svix);
    await fc.assert(fc.asyncProperty(signers, id, body, secret, genuine));
  });

  it("all that one of them refuses is refused, however slightly it was changed", async () => {
    const names = fc.constantFrom(...(Object.keys(HEADERS) as (keyof SignedHeaders)[]), "body");
    const piece = fc.oneof(fc.constantFrom("", " ", ",", "=", "v1,", "0", "."), fc.string());
    const edit = fc.record({ name: names, at: fc.nat(), cut: fc.nat(3), piece });
    let accepted = 0;
    const same = async ({
      name,
      at,
      cut,
      piece,
    }: {
      name: string;
      at: number;
      cut: number;
      piece: string;
    }) => {
      const whole = { body: BODY, ...signed(BODY).headers } as Record<string, string>;
      const text = whole[name] ?? "";
      const from = at % (text.length + 1);
      whole[name] = text.slice(0, from) + piece + text.slice(from + cut);
      const { body: sent = "", ...headers } = whole;
      const ours = (await refusal(sent, headers, SECRET)) === null;
      accepted += Number(ours);
      if (ours) for (const Verifier of [Standard, Svix]) new Verifier(SECRET).verify(sent, headers);
    };
    await fc.assert(fc.asyncProperty(edit, same), { numRuns: 1_000 });
    // Edits that change nothing are among them: the law is not kept by refusing all.
    expect(accepted).toBeGreaterThan(0);
  });
});

describe("hostile input", () => {
  it("is never answered with anything but our own error", async () => {
    const named = fc.dictionary(fc.constantFrom(...Object.keys(HEADERS)), fc.anything());
    const headers = fc.oneof(fc.anything(), named, fc.array(fc.tuple(fc.string(), fc.string())));
    const raw = fc.oneof(fc.anything(), fc.string(), fc.uint8Array());
    await fc.assert(fc.asyncProperty(raw, headers, refused), { numRuns: 1_000 });
  });

  it("costs no work for a million signatures, though the right one be among them", async () => {
    const { "webhook-signature": right } = HEADERS;
    const many = `${`v1,${"A".repeat(43)}= `.repeat(1_000_000)}${right}`;
    expect(await refusal(BODY, { ...HEADERS, "webhook-signature": many }, SECRET)).toBe(
      "malformed_header",
    );
  });

  it("cannot hide a body in the id or the time", async () => {
    const { headers } = signed(`1.${BODY}`, { id: "msg_1" });
    const shifted = { ...headers, "webhook-id": `msg_1.${headers["webhook-timestamp"]}` };
    expect(await refusal(BODY, { ...shifted, "webhook-timestamp": "1" }, SECRET)).toBe(
      "malformed_header",
    );
  });
});
