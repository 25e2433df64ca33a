import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { consume } from "../../src/consumer.ts";
import type { DeliveryOutcome } from "../../src/domain/delivery.ts";
import { objectName } from "../../src/ids.ts";
import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import type { JobAccepted } from "../../src/schema/job.ts";
import type { KeyCreated } from "../../src/schema/tenant.ts";
import { Canaries } from "../support/canaries.ts";
import {
  deadLetter,
  forgetProvider,
  holdClock,
  job,
  leased,
  logged,
  OUTAGE,
  partOf,
  queues,
  REPORT,
  ANSWER,
  view,
  wakeWhenDue,
} from "./support.ts";
import { deliver, request } from "./worker-side.ts";

holdClock();

/** What must not ride a queue (invariant 9), each where it belongs. */
const canaries = new Canaries();
const prompt = canaries.plant("prompt");
const system = canaries.plant("system message");
const result = canaries.plant("result");
const toolArguments = canaries.plant("tool arguments");
const header = canaries.plant("callback header", { plain: true });
const path = canaries.plant("path of the webhook", { plain: true });
const query = canaries.plant("query of the webhook", { plain: true });
const metadata = canaries.plant("metadata");
const user = canaries.plant("user");
const key = canaries.plant("idempotency key", { plain: true });
const receiverText = canaries.plant("receiver's answer");
const ADMIN_API_KEY = canaries.plant("admin key", { plain: true });
const SIGNING_KEY = canaries.plant("signing key", { plain: true });
const PROVIDER_KEY = canaries.plant("provider key", { plain: true });
const foreignText = canaries.plant("message of another");

const TENANT = "canary";
const UNLIMITED = '{"pro":null}';

/** The Worker where it takes keys and limits nobody. */
const keyed = {
  ...env,
  AUTH_MODE: "keys",
  ADMIN_API_KEY,
  SIGNING_KEY,
  OPENAI_API_KEY: PROVIDER_KEY,
  SUBMITS_PER_MINUTE: UNLIMITED,
  MAX_QUEUED_JOBS: UNLIMITED,
  DAY_BUDGET_USD: UNLIMITED,
  MONTH_BUDGET_USD: UNLIMITED,
} as unknown as Env;

/** A submission with a canary in every field. `at`: which job, for a key of its own. */
function submission(at: number, model: string, apiKey?: string): RequestInit {
  const body = JSON.stringify({
    messages: [
      { role: "system", content: system },
      { role: "user", content: prompt },
    ],
    model,
    user,
    metadata: { note: metadata },
    webhook_url: `https://hooks.example.com/${path}?token=${query}`,
    callback_headers: { authorization: `Bearer ${header}` },
  });
  // No id may have a slash, so the id is made of the key, and the key goes nowhere.
  const headers = new Headers({
    "content-type": "application/json",
    "idempotency-key": `${key}/${at}`,
  });
  if (apiKey !== undefined) headers.set("authorization", `Bearer ${apiKey}`);
  return { method: "POST", headers, body };
}

/** The name of the object of a job that was accepted, whose token is a canary from now on. */
async function nameOf(response: Response, tenant: string): Promise<string> {
  expect([response.status, response.ok ? "" : await response.text()]).toEqual([202, ""]);
  const { job_id, subscribe_token } = await response.json<JobAccepted>();
  const [, grant = "", signature = ""] = subscribe_token.split(".");
  canaries.watch("subscribe token", grant);
  canaries.watch("subscribe token", signature);
  return objectName(tenant, job_id);
}

/** Submits at the front door, and says the name of the job's object. */
async function submitted(at: number): Promise<string> {
  const url = "https://afterword.example/api/jobs";
  const asked = new Request(url, submission(at, "simulator/standard"));
  return nameOf(await exports.default.fetch(asked), "dev");
}

/** A key of a tenant, and a canary from now on: what comes before its last 38 characters may be told. */
async function newApiKey(): Promise<string> {
  const headers = {
    authorization: `Bearer ${ADMIN_API_KEY}`,
    "content-type": "application/json",
  };
  const post = (path: string, body: object) =>
    request(keyed, path, { method: "POST", headers, body: JSON.stringify(body) });
  await post("/api/admin/tenants", { tenant: TENANT, tier: "pro" });
  const scopes = ["jobs:read", "jobs:write"];
  const made = await post(`/api/admin/tenants/${TENANT}/keys`, { scopes });
  expect(made.status).toBe(201);
  const { key } = await made.json<KeyCreated>();
  canaries.watch("API key", key.slice(-38));
  return key;
}

async function answered(name: string): Promise<void> {
  const { token } = await leased(name);
  const toolCall = { id: "call_1", type: "function" as const };
  const call = { ...toolCall, function: { name: "look_up", arguments: toolArguments } };
  await job(name).append(token, partOf(0, result));
  await job(name).complete(token, partOf(1, ""), { ...ANSWER, tool_calls: [call] }, REPORT);
}

const FAILED: DeliveryOutcome = {
  type: "failed",
  status: 500,
  error: "HTTP 500",
  answer: receiverText,
  latencyMs: 30,
  retryAfterMs: null,
};

/** Lets every attempt at the job's delivery fail, until it is given up. */
async function refuseDelivery(name: string): Promise<void> {
  for (let made = 0; made < 12; made++) {
    const pass = `pass-${made}`;
    let next = await job(name).nextDelivery(pass, 10_000);
    while (next.type === "none") {
      await wakeWhenDue(name);
      next = await job(name).nextDelivery(pass, 10_000);
    }
    if (next.type === "owed") await job(name).settleDelivery(pass, next.deliveryId, FAILED);
  }
}

describe("a queue message", () => {
  it("holds nothing of the job that it is about, on any queue, in its whole life", async () => {
    const good = await submitted(1);
    await answered(good);
    const ends = [await view(good)];
    await refuseDelivery(good);
    const bad = await submitted(2);
    const { token } = await leased(bad);
    await job(bad).append(token, partOf(0, result));
    await job(bad).fail(token, { ...OUTAGE, remedy: "give_up" }, REPORT);
    await deadLetter(bad);
    ends.push(await view(bad));
    const stopped = await submitted(3);
    await job(stopped).cancel("enough");
    await job(stopped).delete();
    expect(ends.map(({ status }) => status)).toEqual(["completed", "failed"]);
    expect(canaries.in(JSON.stringify(ends[0]))).toContain("result");
    const messages = queues.sent.map((message) => JSON.stringify(message));
    const told = new Set(queues.sent.map(({ to }) => to));
    expect(told).toEqual(
      new Set(["LANE_NORMAL", "DEAD_LETTERS", "WEBHOOKS", "WEBHOOK_DEAD_LETTERS"]),
    );
    expect(canaries.leaks(messages)).toEqual([]);
    expect(canaries.leaks(logged)).toEqual([]);
  });

  it("holds nothing of a job that is parked, though it says what its call needs", async () => {
    await forgetProvider("openai");
    await providerNamed(env, "openai").order({ paused: true });
    const response = await request(keyed, "/api/jobs", submission(4, "gpt-4o", await newApiKey()));
    const name = await nameOf(response, TENANT);
    const bell = queues.sent.find(({ body }) => body.job === name)?.body;
    expect(await deliver(keyed, "jobs-normal", [bell])).toEqual({ acked: ["0"], retried: [] });
    expect((await providerNamed(env, "openai").state()).parked.normal).toBe(1);
    const before = queues.sent.length;
    await providerNamed(env, "openai").order({ paused: false });
    expect(queues.sent.slice(before)).toMatchObject([
      { to: "LANE_NORMAL", body: { job: name, needs: { provider: "openai", tenant: TENANT } } },
    ]);
    expect(canaries.leaks(queues.sent.map((message) => JSON.stringify(message)))).toEqual([]);
    expect(canaries.leaks(logged)).toEqual([]);
  });

  it("that is not ours is refused without a word of what it holds", async () => {
    const message = { id: "0", timestamp: new Date(), attempts: 1, body: { text: foreignText } };
    const batch = createMessageBatch("jobs-normal", [message]);
    const context = createExecutionContext();
    await consume(batch, env, context);
    expect((await getQueueResult(batch, context)).explicitAcks).toEqual(["0"]);
    expect(logged.some((line) => line.includes("message.refused"))).toBe(true);
    expect(canaries.leaks(logged)).toEqual([]);
  });
});

describe("a refusal for the moment", () => {
  it.each([
    ["the intake is paused", { INTAKE: "paused" }, "intake-paused"],
    // Whom these tests have in place of the accounts admits nobody.
    ["the account cannot be reached", { DAY_BUDGET_USD: "1" }, "unavailable"],
  ])("where %s holds nothing of what was refused", async (_, settings, code) => {
    const here = { ...keyed, ...settings } as unknown as Env;
    const response = await request(here, "/api/jobs", submission(5, "gpt-4o", await newApiKey()));
    const text = await response.text();
    expect([response.status, JSON.parse(text)]).toMatchObject([503, { code }]);
    const told = [text, JSON.stringify([...response.headers]), ...logged];
    expect(canaries.leaks(told)).toEqual([]);
  });
});
