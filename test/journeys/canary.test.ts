import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Api, expectJson } from "../support/api.ts";
import { Canaries } from "../support/canaries.ts";
import { liveInBatches } from "../support/canary-batches.ts";
import { CanaryKeys } from "../support/canary-keys.ts";
import { liveInSteps } from "../support/canary-steps.ts";
import { refusedUpgrade, SocketFollower } from "../support/follow-socket.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { answer } from "../support/receiver-behaviour.ts";
import { Receiver } from "../support/receiver.ts";
import { Refusals } from "../support/refusals.ts";
import { Operator } from "../support/tenants.ts";

/** Every secret there is in the life of a job, each planted where it belongs (invariant 9). */
const canaries = new Canaries();
const ADMIN_API_KEY = canaries.plant("admin key", { plain: true });
const SIGNING_KEY = canaries.plant("signing key", { plain: true });
const PROVIDER_KEY = canaries.plant("provider key", { plain: true });
const prompt = canaries.plant("prompt");
const system = canaries.plant("system message");
const result = canaries.plant("result");
const toolArguments = canaries.plant("tool arguments");
const providerText = canaries.plant("provider's error");
const header = canaries.plant("callback header", { plain: true });
const path = canaries.plant("path of the webhook", { plain: true });
const query = canaries.plant("query of the webhook", { plain: true });
const receiverText = canaries.plant("receiver's answer");
const metadata = canaries.plant("metadata");
const user = canaries.plant("user");
const key = `not/an/id:${canaries.plant("idempotency key", { plain: true })}`;
const wrongKey = canaries.plant("wrong key", { plain: true });
const wrongToken = canaries.plant("wrong token", { plain: true });
const wrongField = canaries.plant("value of a field", { plain: true });

let journey: Journey;
let receiver: Receiver;
let operator: Operator;
let keys: CanaryKeys;
/** Who submits the jobs: a tenant, by a key that is a canary too. */
let caller: Api;
const refusals = new Refusals();

beforeAll(async () => {
  receiver = await Receiver.start();
  const vars = {
    AUTH_MODE: "keys",
    OPENAI_API_KEY: PROVIDER_KEY,
    WEBHOOK_ALLOWED_ORIGINS: receiver.origin,
  };
  journey = await startJourney(vars, { ADMIN_API_KEY, SIGNING_KEY });
  operator = new Operator(journey.product.url, ADMIN_API_KEY);
  keys = new CanaryKeys(operator, canaries);
  caller = await keys.tenant("acme", {});
});
afterAll(async () => {
  await journey.close();
  await receiver.close();
});

function refused(path: string, init: RequestInit = {}, api = caller): Promise<number> {
  return refusals.ask(api, path, init);
}

function refusedPost(path: string, body: unknown, api = caller): Promise<number> {
  return refusals.send(api, ["POST", path], body);
}

function refusedJob(body: unknown, headers: Record<string, string> = {}): Promise<number> {
  return refusals.send(caller, ["POST", "/api/jobs"], body, headers);
}

/** A job with a canary in every field, whose calls meet what the directive says. */
function jobMeeting(directive: string, over: object = {}) {
  return {
    messages: [
      { role: "system", content: system },
      { role: "user", content: `${freshPrompt(directive)} ${prompt}` },
    ],
    max_attempts: 2,
    user,
    metadata: { note: metadata },
    webhook_url: receiver.url(`/${path}?token=${query}`),
    callback_headers: { authorization: `Bearer ${header}` },
    webhook_events: ["job.started", "job.progress"],
    ...over,
  };
}

function calledBack(callback_headers: Record<string, string>) {
  return jobMeeting("", { callback_headers });
}

/** What the provider of a job says whose own words these are. */
function jobAnswered(behave: Parameters<Journey["script"]>[1]) {
  const job = jobMeeting("");
  journey.script(job.messages.at(-1)?.content ?? "", behave);
  return job;
}

async function submit(job: object, idempotencyKey?: string) {
  const accepted = await caller.submit(job, idempotencyKey);
  const [, grant = "", signature = ""] = accepted.subscribe_token.split(".");
  canaries.watch("subscribe token", grant);
  canaries.watch("subscribe token", signature);
  return accepted;
}

describe("the whole life of a job", () => {
  it.concurrent("is followed by every way there is, to a good end", async ({ expect }) => {
    const rotated = await caller.post("/api/webhook-secret/rotate", {});
    const { secret } = await expectJson<{ secret: string }>(rotated, 200);
    canaries.watch("webhook secret", secret.replace("whsec_", ""));
    const toolCalls = [{ name: "look_up", arguments: JSON.stringify({ q: toolArguments }) }];
    const tokens = [result, result];
    const job = jobAnswered(() => ({ kind: "answer", tokens, toolCalls, everyMs: 50 }));
    const { job_id, subscribe_token, events_url } = await submit(job, key);
    const protocols = ["jobs.v1", `bearer.${subscribe_token}`];
    const one = await SocketFollower.open(caller.url, `/ws/jobs/${job_id}`, {}, protocols);
    const stream = await journey.api.fetch(events_url);
    expect(await stream.text()).toContain(JSON.stringify(result).slice(1, -1));
    expect(await one.closed).toBe(1000);
    await caller.ended(job_id);
    await receiver.received(1, { timeoutMs: 20_000 });
    expect((await caller.replay(job, key)).job_id).toBe(job_id);
    expect(await refusedJob({ ...job, user: `${user}.` }, { "idempotency-key": key })).toBe(422);
    expect(await refused(`/api/jobs/${job_id}/retry`, { method: "POST" })).toBe(409);
    await caller.delete(job_id);
    expect(await refused(`/api/jobs/${job_id}`)).toBe(410);
  });

  it.concurrent("meets every fault of a provider, which says more than it should", async () => {
    const body = { error: { message: `${providerText} ${prompt} ${PROVIDER_KEY}`, code: system } };
    const faults = [
      jobAnswered(() => ({ kind: "status", status: 401, body })),
      jobAnswered(() => ({ kind: "status", status: 500, body })),
      jobAnswered(() => ({ kind: "status", status: 429, retryAfter: providerText, body })),
      jobAnswered(() => ({ kind: "status", status: 400, body })),
      jobMeeting("[malformed]"),
      jobMeeting("[cut=3 reset]"),
      jobMeeting("[contentFilter]"),
      jobMeeting("[cut=2 x1][tokens=3]"),
    ];
    const accepted = await Promise.all(faults.map((job) => submit(job)));
    const ends = await Promise.all(accepted.map(({ job_id }) => caller.ended(job_id)));
    expect(ends.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 7 }, () => "failed"),
      "completed",
    ]);
    // What the job says of its failure is a told error too.
    const failures = ends.map(({ error, error_code }) => `${error} ${error_code}`);
    const attempts = accepted.map(async ({ job_id }) => caller.attempts(job_id));
    const told = (await Promise.all(attempts)).flat().map((one) => JSON.stringify(one));
    refusals.texts.push(...failures, ...told);
    const again = await caller.retry(accepted[0]?.job_id ?? "");
    expect((await caller.ended(again.job_id)).status).toBe("failed");
  });

  it.concurrent("is cancelled, and its webhook told until it wants no more", async ({ expect }) => {
    const refusing = `/gone-${path}`;
    receiver.plan(refusing, answer(500, {}, receiverText), answer(410, {}, receiverText));
    const over = { webhook_url: receiver.url(refusing), webhook_events: [] };
    const { job_id } = await submit(jobMeeting("[tokens=400 every=50]", over));
    await caller.firstEvent(job_id, ({ type }) => type === "delta");
    await caller.cancel(job_id);
    await receiver.received(2, { path: refusing, timeoutMs: 30_000 });
    const settled = async () => {
      const answer = await caller.fetch(`/api/jobs/${job_id}/deliveries`);
      const { deliveries } = await expectJson<{ deliveries: { status: string }[] }>(answer, 200);
      return deliveries.map(({ status }) => status);
    };
    await expect.poll(settled, { timeout: 20_000 }).toEqual(["gone"]);
  });

  it.concurrent("is one of a batch, tried again and cancelled", async () => {
    const { metadata: kept, webhook_url, callback_headers, ...item } = jobMeeting("[status=400]");
    const batch = { requests: [item], metadata: kept, webhook_url, callback_headers };
    await liveInBatches(caller, batch, { key: `${key}/batch`, wrong: wrongField }, refusals);
  });

  it.concurrent("has several steps, is asked, approved, and tried again", async () => {
    await liveInSteps(caller, receiver, canaries, refusals);
  });

  it.concurrent("is asked for with keys that were genuine, or are so elsewhere", async () => {
    await keys.askInVain("acme", refusals);
    await keys.askWrongly(caller, "acme", wrongField, refusals);
  });

  it.concurrent("is more than its tenant may submit, or spend", async () => {
    const poor = await keys.tenant("poor", { day_budget_usd: 0.000_001 });
    expect(await refusals.send(poor, ["POST", "/api/jobs"], jobMeeting(""))).toBe(402);
    const hasty = await keys.tenant("hasty", { submits_per_minute: 0 });
    expect(await refusals.send(hasty, ["POST", "/api/jobs"], jobMeeting(""))).toBe(429);
  });

  it.concurrent("is asked for in every wrong way", async () => {
    const stranger = (authorization: string) => new Api(caller.url, { authorization });
    const strangers = [`Bearer ${wrongKey}`, `Basic ${wrongKey}`, wrongKey].map(stranger);
    for (const api of strangers) {
      expect(await refused("/api/jobs/known", {}, api)).toBe(401);
      expect(await refused("/metrics", {}, api)).toBe(401);
    }
    const tokened = `/api/jobs/known/events?token=${wrongToken}`;
    expect(await refused(tokened, {}, journey.api)).toBe(401);
    expect(await refusedUpgrade(caller.url, `/ws/jobs/known?token=${wrongToken}`)).toBe(401);
    expect(await refusedUpgrade(caller.url, "/ws", ["jobs.v1", `bearer.${wrongToken}`])).toBe(401);
    for (const place of ["", "api/", "api/jobs/x/", "api/admin/", "api/admin/dead-letter/"]) {
      await refused(`/${place}${wrongField}/${wrongField}`, {}, operator);
    }
    expect(await refused(`/api/jobs/${wrongField}`)).toBe(404);
    expect(await refused(`/api/jobs?cursor=${wrongField}&status=${wrongField}`)).toBe(400);
    expect(await refused(`/api/jobs/x/events?after=${wrongField}`)).toBeGreaterThanOrEqual(400);
    expect(await refused(`/api/admin/stats?window_seconds=${wrongField}`, {}, operator)).toBe(400);
    expect(await refusedJob(`{"prompt":${JSON.stringify(prompt)}`)).toBe(400);
    expect(await refusedJob(`{"prompt":"x" "${wrongField}"}`)).toBe(400);
    expect(await refusedJob(wrongField)).toBe(400);
    expect(await refusedJob({ prompt }, { "content-type": "text/plain" })).toBe(415);
    expect(await refusedJob({ prompt }, { "idempotency-key": `${wrongField} ${wrongField}` })).toBe(
      400,
    );
    expect(await refusedJob({ prompt: prompt.repeat(12_000) })).toBe(413);
  });

  // The name of a field, and of a model, is told to whoever sent it wrong; its value never.
  it.concurrent("is submitted with a wrong value in every field", async () => {
    const wrong = {
      messages: [{ role: wrongField, content: prompt }],
      params: { temperature: wrongField, tool_choice: wrongField },
      priority: wrongField,
      profile: wrongField,
      max_attempts: wrongField,
      delay_seconds: wrongField,
      user: { name: user },
      metadata: { note: { text: metadata } },
      webhook_events: [wrongField],
      retention_seconds: wrongField,
    };
    for (const [field, value] of Object.entries(wrong)) {
      const job = field === "messages" ? {} : { prompt };
      expect([field, await refusedJob({ ...job, [field]: value })]).toEqual([field, 400]);
    }
    expect(await refusedJob({ prompt, metadata: { note: metadata.repeat(20) } })).toBe(400);
    expect(await refusedJob(calledBack({ host: header }))).toBe(400);
    expect(await refusedJob(calledBack({ "x-a": `${header}\n${header}` }))).toBe(400);
    expect(await refusedJob(calledBack({ "x-a": header.repeat(200) }))).toBe(400);
    for (const base of ["http://127.0.0.1:1", "https://10.0.0.1", "ftp://x.example", "nonsense"]) {
      const webhook_url = `${base}/${path}?token=${query}`;
      expect(await refusedJob({ prompt, webhook_url })).toBe(422);
      expect(await refusedPost("/api/webhook-test", { url: webhook_url })).toBe(422);
    }
    expect(await refusedPost("/api/webhook-test", { url: [query] })).toBe(400);
    expect(await refusedPost("/api/webhook-secret/rotate", { overlap_seconds: query })).toBe(400);
    expect(await refusedPost("/api/admin/dead-letter/retry", { filter: query }, operator)).toBe(
      400,
    );
  });
});

describe("of all the secrets in it", () => {
  it("none is in any line that was logged", async () => {
    const lines = journey.product.harness.getLogs().map((line) => JSON.stringify(line));
    for (const event of ["job.completed", "job.failed", "job.retried", "delivery.attempted"]) {
      expect([event, lines.some((line) => line.includes(event))]).toEqual([event, true]);
    }
    expect(canaries.leaks(lines)).toEqual([]);
  });

  it("none is in any error that was answered", () => {
    expect(refusals.texts.length).toBeGreaterThan(160);
    expect(canaries.leaks(refusals.texts)).toEqual([]);
  });

  it("none is in what usage, tenants, providers and the figures say, but users where they are asked for", async () => {
    const byUser = async () => {
      const answer = await caller.fetch("/api/usage?group_by=user");
      return canaries.in(await answer.text());
    };
    await expect.poll(byUser, { timeout: 10_000 }).toEqual(["user"]);
    expect(canaries.leaks(await keys.answers(caller, "acme"))).toEqual([]);
  });

  it("each was there to be told: the provider, the receiver and the caller had them", async () => {
    const calls = journey.provider.calls.map(({ body, headers }) =>
      JSON.stringify([body, headers]),
    );
    const heard = receiver.all.map(({ path, headers, text }) =>
      JSON.stringify([path, headers, text]),
    );
    const seen = new Set(
      [...calls, ...heard, ...refusals.texts].flatMap((text) => canaries.in(text)),
    );
    for (const name of ["prompt", "system message", "provider key", "result", "tool arguments"]) {
      expect([name, seen.has(name)]).toEqual([name, true]);
    }
    for (const name of ["callback header", "path of the webhook", "query of the webhook"]) {
      expect([name, seen.has(name)]).toEqual([name, true]);
    }
  });
});
