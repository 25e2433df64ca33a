import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { createApp } from "../../src/http/app.ts";
import { deadLetters } from "../../src/ledgers/dead-letter-stub.ts";
import { objectName, replayIdFor } from "../../src/ids.ts";
import type { DeadLetterList, OperationView } from "../../src/schema/dead-letter.ts";
import { Ledger, letterOf, lettersOf } from "./letters.ts";
import { holdClock, queues } from "./support.ts";

holdClock({ ledgersToo: false });

const app = createApp();
const PATH = "/api/admin/dead-letter";

/** The ledger that the routes know. */
class SharedLedger extends Ledger {
  override readonly name = "dead-letters";
}
const shared = new SharedLedger();

async function ask(method: string, path: string, settings: object = {}, body?: unknown) {
  const headers = { "content-type": "application/json" };
  const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
  const response = await app.request(`${PATH}${path}`, init, { ...env, ...settings });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : (JSON.parse(text) as unknown) };
}

async function list(query: string, settings: object = {}): Promise<DeadLetterList> {
  const { status, body } = await ask("GET", query, settings);
  expect([status, status === 200 ? null : body]).toEqual([200, null]);
  return body as DeadLetterList;
}

/** Letters of a tenant nobody else has, so that tests do not see each other's. */
async function added(count: number, overrides: Parameters<typeof letterOf>[0] = {}) {
  const tenant = `t-${crypto.randomUUID()}`;
  const letters = lettersOf(count, { tenant, ...overrides });
  await deadLetters(env).add(letters);
  return { tenant, letters, letter: letters[0] ?? letterOf() };
}

describe("GET /api/admin/dead-letter", () => {
  it("lists what was given up on, with its count, its total and how the prompt begins", async () => {
    const { tenant, letter } = await added(1);
    expect(await list(`?tenant=${tenant}`)).toEqual({
      count: 1,
      total: 1,
      jobs: [
        {
          dlq_id: letter.dlqId,
          original_job_id: letter.jobId,
          error: letter.error,
          error_code: "provider_unavailable",
          fingerprint: "c8bec917b10139e6",
          failed_at: new Date(letter.failedAt).toISOString(),
          attempts: 0,
          model: "gpt-4o",
          tenant,
          prompt_preview: "Why is the sky blue?",
        },
      ],
      next_cursor: null,
    });
  });

  it("shows nothing of a prompt where the deployment does not want that", async () => {
    const { tenant, letter } = await added(1);
    const off = { DEAD_LETTER_PREVIEW: "off" };
    expect((await list(`?tenant=${tenant}`, off)).jobs[0]?.prompt_preview).toBeNull();
    const { body } = await ask("GET", `/${letter.dlqId}`, off);
    expect(body).toMatchObject({ prompt_preview: null });
  });

  it("goes through pages by cursor, 50 at a time unless told", async () => {
    const { tenant, letters } = await added(60);
    const first = await list(`?tenant=${tenant}`);
    expect(first).toMatchObject({ count: 50, total: 60 });
    const second = await list(`?tenant=${tenant}&limit=200&cursor=${first.next_cursor}`);
    expect(second).toMatchObject({ count: 10, total: 60, next_cursor: null });
    const seen = [...first.jobs, ...second.jobs].map(({ dlq_id }) => dlq_id);
    expect(seen.toSorted()).toEqual(letters.map(({ dlqId }) => dlqId).toSorted());
  });

  it.each([
    ["?limit=0", "/limit"],
    ["?limit=201", "/limit"],
    ["?limit=some", "/limit"],
    ["?cursor=foreign", "/cursor"],
    ["?error_code=canary", "/error_code"],
    ["?errorcode=timeout", ""],
    ["/groups?limit=5", ""],
  ])("refuses %s", async (query, pointer) => {
    const { status, body } = await ask("GET", query);
    expect(status).toBe(400);
    expect(body).toMatchObject({ code: "invalid-request", errors: [{ pointer }] });
  });
});

describe("GET /api/admin/dead-letter/groups", () => {
  it("groups by the way jobs failed, with the list's filters", async () => {
    const { tenant, letters } = await added(4, { errorCode: "timeout", error: "Late" });
    const { body } = await ask("GET", `/groups?tenant=${tenant}&error_code=timeout`);
    expect(body).toEqual({
      groups: [
        {
          fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
          error_code: "timeout",
          error: "Late",
          provider: "openai",
          count: 4,
          models: ["gpt-4o"],
          tenants: 1,
          first_failed_at: new Date(letters[0]?.failedAt ?? 0).toISOString(),
          last_failed_at: new Date(letters[0]?.failedAt ?? 0).toISOString(),
          sample_dlq_ids: [3, 2, 1].map((at) => letters[at]?.dlqId),
        },
      ],
    });
  });
});

describe("one dead letter", () => {
  it("is read whole", async () => {
    const { letter } = await added(1, { request: { prompt: "x".repeat(500), user: "u" } });
    const { status, body } = await ask("GET", `/${letter.dlqId}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      dlq_id: letter.dlqId,
      request: letter.request,
      attempt_history: [],
      attempts: 0,
      tier: "default",
      provider: "openai",
      submitted_at: new Date(letter.submittedAt).toISOString(),
      prompt_preview: "x".repeat(100),
    });
  });

  it("is sent again once, is gone, and answers the same when asked again", async () => {
    const { tenant, letter } = await added(1);
    const answers = await Promise.all([1, 2, 3].map(() => ask("POST", `/${letter.dlqId}/retry`)));
    answers.push(await ask("POST", `/${letter.dlqId}/retry`));
    const new_job_id = await replayIdFor(letter.dlqId);
    const message = "Job resubmitted";
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body).toEqual({ message, new_job_id, original_job_id: letter.jobId });
    }
    expect(queues.to(await objectName(tenant, new_job_id))).toEqual(["LANE_HIGH"]);
    expect((await list(`?tenant=${tenant}`)).total).toBe(0);
  });

  it("that cannot be submitted any more is 409 with the reasons, and stays", async () => {
    const { tenant, letter } = await added(1, { request: { prompt: "x", model: "off-the-list" } });
    const { status, body } = await ask("POST", `/${letter.dlqId}/retry`);
    expect(status).toBe(409);
    expect(body).toMatchObject({ code: "dead-letter-refused", errors: [{ pointer: "/model" }] });
    expect((await list(`?tenant=${tenant}`)).total).toBe(1);
  });

  it("whose new job was made before and is gone is 409 with that reason, and stays", async () => {
    const { tenant, letter } = await added(1);
    const job = env.JOBS.getByName(await objectName(tenant, await replayIdFor(letter.dlqId)));
    await ask("POST", `/${letter.dlqId}/retry`);
    await job.delete();
    await shared.inside((_, { sql }) => sql.exec("DELETE FROM handled_letter").toArray());
    await deadLetters(env).add([letter]);
    const { status, body } = await ask("POST", `/${letter.dlqId}/retry`);
    expect(status).toBe(409);
    const detail = expect.stringContaining("gone") as string;
    expect(body).toMatchObject({ code: "dead-letter-refused", errors: [{ pointer: "", detail }] });
    expect((await list(`?tenant=${tenant}`)).total).toBe(1);
  });

  it("is dropped by DELETE", async () => {
    const { tenant, letter } = await added(1);
    expect(await ask("DELETE", `/${letter.dlqId}`)).toEqual({ status: 204, body: null });
    expect((await list(`?tenant=${tenant}`)).total).toBe(0);
    expect((await ask("DELETE", `/${letter.dlqId}`)).status).toBe(404);
  });

  it.each([
    ["GET", "/unknown"],
    ["POST", "/unknown/retry"],
    ["DELETE", "/unknown"],
  ])("that nobody knows is 404: %s %s", async (method, path) => {
    const { status, body } = await ask(method, path);
    expect(status).toBe(404);
    expect(body).toMatchObject({
      code: "dead-letter-not-found",
      error: "Dead letter job not found",
    });
  });
});

describe("an operation", () => {
  it("is begun by filter, told by its URL, and done", async () => {
    const { tenant } = await added(5);
    const started = await ask("POST", "/retry", {}, { filter: { tenant }, rate_per_second: 3 });
    expect(started.status).toBe(202);
    const { operation_id, ...accepted } = started.body as { operation_id: string };
    const path = `/operations/${operation_id}`;
    expect(accepted).toEqual({
      action: "retry",
      matched: 5,
      rate_per_second: 3,
      status_url: `${PATH}${path}`,
    });
    const running = (await ask("GET", path)).body as OperationView;
    expect(running).toMatchObject({ status: "running", done: 0, ended_at: null });
    await shared.finish(operation_id);
    expect((await ask("GET", path)).body).toEqual({
      ...running,
      status: "done",
      done: 5,
      ended_at: expect.any(String),
    });
    expect((await list(`?tenant=${tenant}`)).total).toBe(0);
  });

  it("takes ids, or what failed before a moment, and the rate of the settings", async () => {
    const { tenant, letters, letter } = await added(3);
    const byIds = await ask("POST", "/discard", {}, { ids: [letter.dlqId, "dlq_unknown"] });
    expect(byIds.body).toMatchObject({ action: "discard", matched: 1, rate_per_second: 100 });
    const failed_before = new Date(letter.failedAt).toISOString();
    const settings = { DEAD_LETTER_RATE: "7" };
    const before = await ask("POST", "/discard", settings, { filter: { tenant, failed_before } });
    expect(before.body).toMatchObject({ matched: 0, rate_per_second: 7 });
    await shared.finish((byIds.body as { operation_id: string }).operation_id);
    const left = (await list(`?tenant=${tenant}`)).jobs.map(({ dlq_id }) => dlq_id);
    expect(left.toSorted()).toEqual(
      letters
        .slice(1)
        .map(({ dlqId }) => dlqId)
        .toSorted(),
    );
  });

  it("understands what failed before a moment in any time zone", async () => {
    const { tenant } = await added(1, { failedAt: Date.parse("2026-11-01T11:59:59.000Z") });
    await deadLetters(env).add([
      letterOf({ tenant, failedAt: Date.parse("2026-11-01T12:00:00Z") }),
    ]);
    for (const failed_before of ["2026-11-01T14:00:00+02:00", "2026-11-01T12:00:00Z"]) {
      const { body } = await ask("POST", "/discard", {}, { filter: { tenant, failed_before } });
      expect(body).toMatchObject({ matched: 1 });
    }
  });

  it.each([
    ["neither ids nor filter", {}],
    ["both", { ids: ["dlq_1"], filter: {} }],
    ["no ids", { ids: [] }],
    ["too many ids", { ids: Array.from({ length: 1_001 }, (_, at) => `dlq_${at}`) }],
    ["a filter it does not know", { filter: { since: "2026-11-01T12:00:00Z" } }],
    ["no moment", { filter: { failed_before: "yesterday" } }],
    ["no rate", { filter: {}, rate_per_second: 0 }],
    ["too high a rate", { filter: {}, rate_per_second: 1_001 }],
    ["a field it does not know", { filter: {}, dry_run: true }],
  ])("is refused with %s", async (_, body) => {
    for (const action of ["retry", "discard"]) {
      const refused = await ask("POST", `/${action}`, {}, body);
      expect(refused.status).toBe(400);
      expect(refused.body).toMatchObject({ code: "invalid-request" });
    }
  });

  it("that nobody knows is 404", async () => {
    const { status, body } = await ask("GET", "/operations/op_unknown");
    expect(status).toBe(404);
    expect(body).toMatchObject({ code: "operation-not-found" });
  });
});

describe("without a key", () => {
  it.each([
    ["GET", ""],
    ["GET", "/groups"],
    ["GET", "/dlq_1"],
    ["POST", "/dlq_1/retry"],
    ["DELETE", "/dlq_1"],
    ["POST", "/retry"],
    ["POST", "/discard"],
    ["GET", "/operations/op_1"],
  ])("%s %s is 401, whether or not there is such a thing", async (method, path) => {
    const secrets = { ADMIN_API_KEY: "k".repeat(32), SIGNING_KEY: "s".repeat(32) };
    const keys = { AUTH_MODE: "keys", ...secrets };
    expect((await ask(method, path, keys)).status).toBe(401);
  });
});
