import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { expectProblem } from "../support/api.ts";
import { freshPrompt, startJourney } from "../support/journey.ts";
import { startWebhookJourney } from "../support/webhook-journey.ts";

const CANARY = "canary-value-of-a-header";
const PATH_CANARY = "canary-in-the-path";
const HEADERS = { Authorization: `Bearer ${CANARY}`, "X-Shop-Order": `${CANARY}-order` };
const URL = "https://hooks.example.com/afterword";

const start = () => startWebhookJourney(startJourney);
let journey: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  journey = await start();
});
afterEach(() => journey.webhooks.audit());
afterAll(() => journey.close());

/** What is logged may come after what it tells of. */
function logged(): string {
  return journey.product.harness
    .getLogs()
    .map((line) => JSON.stringify(line))
    .join("\n");
}

describe("callback headers", () => {
  it("come with every attempt, beside ours", async () => {
    const job = { prompt: freshPrompt(), callback_headers: HEADERS };
    const { path } = await journey.webhooks.submit([500, 200], job);
    for (const { headers } of await journey.webhooks.taken(path, 2)) {
      expect(headers).toMatchObject({
        authorization: HEADERS.Authorization,
        "x-shop-order": HEADERS["X-Shop-Order"],
        "user-agent": "Afterword",
      });
    }
  });

  it("come with what is tried again, and nobody is ever shown them (invariant 9)", async () => {
    const prompt = freshPrompt("[status=400 x1]");
    const webhook_url = journey.receiver.url(`/${PATH_CANARY}`);
    const { id } = await journey.webhooks.submit([], {
      prompt,
      webhook_url,
      callback_headers: HEADERS,
    });
    const failed = await journey.api.ended(id);
    const again = await journey.api.retry(id);
    await journey.api.ended(again.job_id);
    const path = `/${PATH_CANARY}`;
    const [first, second] = await journey.webhooks.taken(path, 2);
    expect([first?.event.type, second?.event.type]).toEqual(["job.failed", "job.completed"]);
    expect(second?.headers).toMatchObject({ authorization: HEADERS.Authorization });
    await journey.webhooks.deliveriesUntil(again.job_id, ([only]) => only?.status === "delivered");

    const letter = `/api/admin/dead-letter/${failed.dlq_id}`;
    const shown = await Promise.all(
      [
        `/api/jobs/${id}`,
        `/api/jobs/${id}/deliveries`,
        `/api/jobs/${id}/attempts`,
        `/api/jobs/${id}/events`,
        `/api/jobs/${again.job_id}`,
        "/api/jobs",
        letter,
        "/api/admin/dead-letter",
        "/api/admin/dead-letter/groups",
        "/api/admin/stats",
        "/health",
      ].map(async (path) => (await journey.api.fetch(path)).text()),
    );
    const sent = await journey.api.fetch(`${letter}/retry`, { method: "POST" });
    const texts = [...shown, await sent.text(), first?.text, second?.text, logged()];
    expect(logged()).toContain("delivery.attempted");
    for (const text of texts) expect(text).not.toContain(CANARY);
    expect(logged()).not.toContain(PATH_CANARY);
  });

  it("that are refused are not repeated in the refusal, nor in the log", async () => {
    const body = {
      prompt: "x",
      webhook_url: URL,
      callback_headers: { Cookie: CANARY, ...HEADERS },
    };
    const problem = await expectProblem(await journey.api.send(body), 400, "invalid-request");
    expect(problem.errors).toMatchObject([{ pointer: "/callback_headers/Cookie" }]);
    expect(JSON.stringify(problem)).not.toContain(CANARY);
    const url = `https://u:${CANARY}@hooks.example.com/${PATH_CANARY}`;
    const answer = await journey.api.send({ prompt: "x", webhook_url: url });
    const refused = JSON.stringify(await expectProblem(answer, 422, "webhook-url-rejected"));
    for (const text of [refused, logged()]) {
      expect(text).not.toContain(CANARY);
      expect(text).not.toContain(PATH_CANARY);
    }
  });

  it.each([
    "Host",
    "Content-Type",
    "content-length",
    "Connection",
    "Transfer-Encoding",
    "webhook-id",
    "Webhook-Signature",
    "X-Webhook-Signature",
    "x-webhook-anything",
    "CF-Connecting-IP",
    "X-Forwarded-For",
    "Cookie",
    "User-Agent",
    "not a name",
    "näme",
    "",
  ])("may not have the name %j", async (name) => {
    const body = { prompt: "x", webhook_url: URL, callback_headers: { [name]: "v" } };
    const problem = await expectProblem(await journey.api.send(body), 400, "invalid-request");
    expect(problem.errors).toMatchObject([{ pointer: `/callback_headers/${name}` }]);
  });

  it.each<[string, Record<string, string>]>([
    ["with a line break", { "x-a": "a\r\nwebhook-id: b" }],
    ["beyond ASCII", { "x-a": "ä" }],
    [
      "in a great number",
      Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`x-${at}`, ""])),
    ],
    ["of more than 8 KB", { "x-a": "a".repeat(4_096), "x-b": "b".repeat(4_096) }],
  ])("%s are refused", async (_, callback_headers) => {
    const body = { prompt: "x", webhook_url: URL, callback_headers };
    await expectProblem(await journey.api.send(body), 400, "invalid-request");
  });

  it.each([{ callback_headers: HEADERS }, { webhook_events: ["job.started"] }])(
    "and events make no sense without a webhook_url: %j",
    async (fields) => {
      const answer = await journey.api.send({ prompt: "x", ...fields });
      const problem = await expectProblem(answer, 400, "invalid-request");
      expect(problem.errors).toMatchObject([{ pointer: `/${Object.keys(fields)[0]}` }]);
    },
  );
});

describe("webhook_url", () => {
  it.each([
    "http://hooks.example.com/",
    "https://hooks.example.com:444/",
    "https://user@hooks.example.com/",
    "https://10.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://127。0。0。1/",
    "https://[::1]/",
    "https://localhost/",
    "https://hooks/",
    "https://hooks.internal/",
    "https://hooks.example.com./\\@evil",
    "ftp://hooks.example.com/",
    "hooks.example.com",
    "",
  ])("%j is refused, and no job is made", async (webhook_url) => {
    const answer = await journey.api.send({ prompt: "x", webhook_url }, "never-made");
    const problem = await expectProblem(answer, 422, "webhook-url-rejected");
    expect(problem.errors).toMatchObject([{ pointer: "/webhook_url" }]);
    await expectProblem(await journey.api.fetch("/api/jobs/never-made"), 404, "job-not-found");
  });

  it("that leads to the product itself is refused", async () => {
    const answer = await journey.api.send({
      prompt: "x",
      webhook_url: `${journey.api.url}/api/jobs`,
    });
    await expectProblem(answer, 422, "webhook-url-rejected");
  });

  it("of an origin like an allowed one is refused", async () => {
    const webhook_url = `${journey.receiver.origin}0/`;
    const answer = await journey.api.send({ prompt: "x", webhook_url });
    await expectProblem(answer, 422, "webhook-url-rejected");
  });

  it("may be null, like its headers: nobody is told", async () => {
    const job = { prompt: freshPrompt(), webhook_url: null, callback_headers: null };
    const { job_id } = await journey.api.submit(job);
    expect(await journey.api.ended(job_id)).toMatchObject({ status: "completed" });
  });

  it.each([{ webhook_events: ["job.finished"] }, { webhook_url: 1 }, { callback_headers: [] }])(
    "and what goes with it must have its shape: %j",
    async (fields) => {
      const answer = await journey.api.send({ prompt: "x", webhook_url: URL, ...fields });
      await expectProblem(answer, 400, "invalid-request");
    },
  );

  it("of another submission under the same key is another job", async () => {
    const job = { prompt: freshPrompt(), callback_headers: HEADERS };
    const one = { ...job, webhook_url: journey.receiver.url("/one") };
    await journey.api.submit(one, "keyed");
    await journey.api.replay(one, "keyed");
    const others = [
      { ...one, webhook_url: journey.receiver.url("/other") },
      { ...one, callback_headers: { ...HEADERS, "X-Shop-Order": "2" } },
    ];
    for (const other of others) {
      const answer = await journey.api.send(other, "keyed");
      await expectProblem(answer, 422, "idempotency-key-reused");
    }
    await journey.webhooks.taken("/one", 1);
  });
});
