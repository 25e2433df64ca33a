import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { WebhookSecretRotated, WebhookTested } from "../../src/schema/webhook.ts";
import { expectJson, expectProblem } from "../support/api.ts";
import { startProcessJourney, type ProcessJourney } from "../support/journey.ts";

const SECRET = /^whsec_[A-Za-z0-9+/]{43}=$/;
const ROTATE = "/api/webhook-secret/rotate";
const TEST = "/api/webhook-test";
const CANARY = "canary-path-of-the-url";

type Received = { headers: Record<string, string>; body: string };

/** Somebody's server, which answers with the status its path names. */
async function startReceiver() {
  const received: Received[] = [];
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const headers = request.headers as Record<string, string>;
    received.push({ headers, body: await text(request) });
    const location = "/204/redirected";
    response.writeHead(Number(request.url?.split("/")[1]), { location });
    response.end("canary-answer of the receiver");
  };
  const server = createServer((request, response) => void respond(request, response));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.close().closeAllConnections();
    await once(server, "close");
  };
  return { origin: `http://127.0.0.1:${port}`, received, close };
}

let receiver: Awaited<ReturnType<typeof startReceiver>>;
let dead: string;
let journey: ProcessJourney;
beforeAll(async () => {
  receiver = await startReceiver();
  const gone = await startReceiver();
  dead = gone.origin;
  await gone.close();
  // As npm start runs it: the harness answers for ports where nobody listens, and follows redirects.
  journey = await startProcessJourney({ WEBHOOK_ALLOWED_ORIGINS: `${receiver.origin}, ${dead}` });
});
afterAll(async () => {
  await journey.close();
  await receiver.close();
});

async function rotate(body?: object): Promise<WebhookSecretRotated> {
  const answer =
    body === undefined
      ? await journey.api.fetch(ROTATE, { method: "POST" })
      : await journey.api.post(ROTATE, body);
  return expectJson<WebhookSecretRotated>(answer, 200);
}

async function test(url: string): Promise<WebhookTested> {
  return expectJson<WebhookTested>(await journey.api.post(TEST, { url }), 200);
}

/** What the receiver gets of a test. */
async function delivered(): Promise<Received> {
  const before = receiver.received.length;
  expect(await test(`${receiver.origin}/204/${CANARY}`)).toEqual({
    success: true,
    status: 204,
    latency_ms: expect.any(Number),
    error: null,
  });
  expect(receiver.received).toHaveLength(before + 1);
  const last = receiver.received.at(-1);
  if (last === undefined) throw new Error("nothing was received");
  return last;
}

/** Which of the secrets a receiver that knows but the one can verify it with. */
function verifiedBy({ body, headers }: Received, secrets: string[]): boolean[] {
  return secrets.map((secret) => {
    try {
      new Webhook(secret).verify(body, headers);
      return true;
    } catch {
      return false;
    }
  });
}

/** The signature that comes first, alone: of the newest secret. */
function newestOf(received: Received): Received {
  const [first = ""] = (received.headers["webhook-signature"] ?? "").split(" ");
  return { ...received, headers: { ...received.headers, "webhook-signature": first } };
}

describe("a webhook secret", () => {
  it("is there before it was asked for; the first to be shown is another, and either verifies", async () => {
    const before = await delivered();
    expect(before.headers["webhook-signature"]?.split(" ")).toHaveLength(1);
    const { secret, previous_valid_until } = await rotate();
    expect(secret).toMatch(SECRET);
    const untilMs = Date.parse(previous_valid_until ?? "") - Date.now();
    expect(untilMs).toBeGreaterThan(86_400_000 - 60_000);
    expect(untilMs).toBeLessThanOrEqual(86_400_000);
    const after = await delivered();
    expect(verifiedBy(after, [secret])).toEqual([true]);
    expect(verifiedBy(before, [secret])).toEqual([false]);
  });

  it("that is rotated is valid beside the new one for the overlap: two signatures, newest first", async () => {
    const { secret: old } = await rotate({ overlap_seconds: 0 });
    const { secret, previous_valid_until } = await rotate({ overlap_seconds: 3_600 });
    expect(previous_valid_until).toMatch(/Z$/);
    const received = await delivered();
    expect(received.headers["webhook-signature"]?.split(" ")).toHaveLength(2);
    expect(verifiedBy(received, [secret, old])).toEqual([true, true]);
    expect(verifiedBy(newestOf(received), [secret, old])).toEqual([true, false]);
  });

  it("that is rotated without overlap is valid no more", async () => {
    const { secret: old } = await rotate({});
    const { secret, previous_valid_until } = await rotate({ overlap_seconds: 0 });
    expect(previous_valid_until).toBeNull();
    const received = await delivered();
    expect(received.headers["webhook-signature"]?.split(" ")).toHaveLength(1);
    expect(verifiedBy(received, [secret, old])).toEqual([true, false]);
  });

  it("is rotated by a request without a body, whatever it says of its type", async () => {
    for (const type of ["application/json", "application/x-www-form-urlencoded"]) {
      const headers = { "content-type": type };
      const answer = await journey.api.fetch(ROTATE, { method: "POST", headers, body: "" });
      await expectJson(answer, 200);
    }
  });

  it.each<[unknown, string]>([
    [{ overlap_seconds: -1 }, "/overlap_seconds"],
    [{ overlap_seconds: 604_801 }, "/overlap_seconds"],
    [{ overlap_seconds: 0.5 }, "/overlap_seconds"],
    [{ overlap_seconds: "60" }, "/overlap_seconds"],
    [{ overlap: 60 }, ""],
    [[], ""],
  ])("is not rotated by %j", async (body, pointer) => {
    const answer = await journey.api.post(ROTATE, body);
    const problem = await expectProblem(answer, 400, "invalid-request");
    expect(problem.errors).toMatchObject([{ pointer }]);
  });

  it("is not rotated by a body of another type", async () => {
    const headers = { "content-type": "text/plain" };
    const answer = await journey.api.post(ROTATE, { overlap_seconds: 0 }, headers);
    await expectProblem(answer, 415, "unsupported-media-type");
  });
});

describe("a test delivery", () => {
  it("is a signed event of its own type, sent at once and not like the one before", async () => {
    const { secret } = await rotate({ overlap_seconds: 0 });
    const [one, other] = [await delivered(), await delivered()];
    expect(new Webhook(secret).verify(one.body, one.headers)).toEqual({
      type: "webhook.test",
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      data: { message: expect.any(String) },
      event: "webhook.test",
    });
    expect(one.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": expect.stringMatching(/^msg_[A-Za-z0-9_-]{22}$/),
    });
    expect(one.headers["webhook-id"]).not.toBe(other.headers["webhook-id"]);
  });

  it.each([
    [500, "HTTP 500"],
    [410, "HTTP 410"],
    [302, "HTTP 302"],
  ])(
    "to a receiver that answers %d has failed, and says so in our words",
    async (status, error) => {
      const before = receiver.received.length;
      expect(await test(`${receiver.origin}/${status}/${CANARY}`)).toEqual({
        success: false,
        status,
        latency_ms: expect.any(Number),
        error,
      });
      expect(receiver.received).toHaveLength(before + 1);
    },
  );

  it("to a port where nobody listens has no answer", async () => {
    expect(await test(`${dead}/204/${CANARY}`)).toEqual({
      success: false,
      status: null,
      latency_ms: expect.any(Number),
      error: "Could not be reached",
    });
  });

  it.each(["http://hooks.example.com/", "ftp://hooks.example.com/", "hooks.example.com", "x"])(
    "to %s is refused, and nothing is sent",
    async (url) => {
      const before = receiver.received.length;
      const answer = await journey.api.post(TEST, { url });
      const problem = await expectProblem(answer, 422, "webhook-url-rejected");
      expect(problem.errors).toMatchObject([{ pointer: "/url" }]);
      expect(receiver.received).toHaveLength(before);
    },
  );

  it.each([{}, { url: "" }, { url: 1 }, { url: "https://hooks.example.com/", body: "x" }])(
    "is not made of %j",
    async (body) => {
      await expectProblem(await journey.api.post(TEST, body), 400, "invalid-request");
    },
  );
});

describe("the logs (invariant 9)", () => {
  it("hold no secret, no URL and nothing a receiver has said", async () => {
    const { secret } = await rotate();
    await delivered();
    await test(`${receiver.origin}/500/${CANARY}`);
    const lines = journey.product.output;
    expect(lines).toContain(TEST);
    for (const said of [secret, secret.slice(6, -1), CANARY, "canary-answer"]) {
      expect(lines).not.toContain(said);
    }
  });
});
