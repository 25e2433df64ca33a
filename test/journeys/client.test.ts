import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { AfterwordError, createClient, isTerminal, type Client } from "../../lib/client.ts";
import { expectWholeLog, textOf } from "../support/api.ts";
import {
  answerOf,
  freshPrompt,
  startJourney,
  startProcessJourney,
  type Journey,
  type ProcessJourney,
} from "../support/journey.ts";
import { all } from "../support/scripted-api.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const ADMIN_API_KEY = "admin-key-canary-0123456789-0123456789";

describe("the client with a key", () => {
  let journey: Journey;
  let client: Client;
  beforeAll(async () => {
    journey = await startJourney({ AUTH_MODE: "keys" }, { ADMIN_API_KEY, SIGNING_KEY });
    client = createClient({ baseUrl: journey.product.url, apiKey: ADMIN_API_KEY });
  });
  afterAll(() => journey?.close());

  it("submits, streams, waits, reads and lists", async () => {
    const prompt = freshPrompt("[tokens=20 every=10]");
    const submission = await client.submit({ prompt, user: "client" });
    expect(submission.status).toBe("queued");
    const [events, job] = await Promise.all([
      all(client.stream(submission)),
      client.wait(submission.job_id),
    ]);
    expectWholeLog(events);
    const [call = { id: 0 }] = journey.provider.callsFor(prompt);
    expect(job).toMatchObject({ status: "completed", result: { content: answerOf(call) } });
    expect(textOf(events)).toBe(job.result?.content);
    expect(await client.get(job.job_id)).toEqual(job);
    expect(await all(client.stream(job.job_id, { after: job.last_seq }))).toEqual([]);
    expect(await client.attempts(job.job_id)).toMatchObject([{ attempt: 1, status: "completed" }]);
    expect(await client.deliveries(job.job_id)).toEqual([]);
    await expect.poll(() => firstListed("completed")).toBe(job.job_id);
  });

  async function firstListed(status: "completed"): Promise<string | undefined> {
    for await (const { job_id } of client.list({ status, limit: 1 })) return job_id;
    return undefined;
  }

  it("has the finished job in the answer, where it waits for it", async () => {
    const answer = await client.submit({ prompt: freshPrompt() }, { wait: 30 });
    expect(answer.status).toBe("completed");
  });

  it("cancels, submits again and deletes", async () => {
    const { job_id } = await client.submit({ prompt: freshPrompt("[tokens=100 every=100]") });
    expect(await client.cancel(job_id)).toMatchObject({ job_id, status: "cancelled" });
    expect((await client.wait(job_id)).status).toBe("cancelled");
    const again = await client.retry(job_id);
    expect(again.job_id).not.toBe(job_id);
    expect((await client.retry(job_id)).job_id).toBe(again.job_id);
    await client.delete(again.job_id);
    await client.delete(again.job_id);
    await expect(client.get(again.job_id)).rejects.toMatchObject({ status: 410, code: "job-gone" });
    await expect(all(client.stream(again.job_id))).rejects.toMatchObject({ status: 410 });
  });

  it("submits a batch, waits for it, has its results, and tries again what failed", async () => {
    const prompts = [freshPrompt(), freshPrompt("[status=400 x1]"), freshPrompt()];
    const { batch_id, job_ids } = await client.submitBatch({ prompts });
    const results = await all(client.batchResults(batch_id, { follow: true }));
    expect(results.map(({ job_id }) => job_id)).toEqual(job_ids);
    expect(results.map(({ status }) => status)).toEqual(["completed", "failed", "completed"]);
    const { status, status_counts } = await client.waitForBatch(batch_id);
    expect([status, status_counts.failed]).toEqual(["completed", 1]);
    expect((await client.retryFailed(batch_id)).retried).toBe(1);
    expect((await client.waitForBatch(batch_id)).progress).toBe(100);
    expect(await all(client.batchResults(batch_id, { after: 1 }))).toEqual(results.slice(2));
    expect(await client.cancelBatch(batch_id)).toEqual(await client.getBatch(batch_id));
  });

  it("is refused as the API refuses", async () => {
    const refused: unknown = await client.submit({ prompt: "" }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(AfterwordError);
    expect(refused).toMatchObject({
      status: 400,
      code: "invalid-request",
      message: "prompt is required",
      requestId: expect.stringMatching(/^req_/),
      errors: [{ pointer: "/prompt", detail: "prompt is required" }],
    });
  });

  it("makes one job of a submission whose answer was lost", async () => {
    let answers = 0;
    const forgetful = createClient({
      baseUrl: journey.product.url,
      apiKey: ADMIN_API_KEY,
      fetch: async (...request) => {
        const answer = await fetch(...request);
        if (++answers > 1) return answer;
        await answer.body?.cancel();
        throw new TypeError("The connection was lost");
      },
    });
    const prompt = freshPrompt();
    const { job_id, status } = await forgetful.submit({ prompt });
    expect(status).toBe("already_submitted");
    await client.wait(job_id);
    expect(journey.provider.callsFor(prompt)).toHaveLength(1);
  });

  it("is without a key good for the stream that its token is for, and nothing else", async () => {
    const submission = await client.submit({ prompt: freshPrompt() });
    const { job_id } = submission;
    const bare = createClient({ baseUrl: journey.product.url });
    expectWholeLog(await all(bare.stream(submission)));
    const { subscribe_token: token } = await client.issueToken(job_id);
    expectWholeLog(await all(bare.stream(job_id, { token })));
    const unauthorized = { status: 401, code: "unauthorized" };
    await expect(all(bare.stream(job_id))).rejects.toMatchObject(unauthorized);
    await expect(bare.get(job_id)).rejects.toMatchObject(unauthorized);
    await expect(bare.cancel(job_id)).rejects.toMatchObject(unauthorized);
    const other = await client.submit({ prompt: freshPrompt() });
    await expect(all(bare.stream(other.job_id, { token }))).rejects.toMatchObject({ status: 404 });
  });

  it.each(["answer.js", "stream.js", "batch.js"])("is used by examples/client/%s", async (name) => {
    const prompt = freshPrompt();
    const env = {
      ...process.env,
      AFTERWORD_URL: journey.product.url,
      AFTERWORD_KEY: ADMIN_API_KEY,
    };
    const args = [`examples/client/${name}`, prompt];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    const [call = { id: 0 }] = journey.provider.callsFor(prompt);
    expect(stdout.trim()).toBe(answerOf(call).trim());
  });
});

describe("while the product is killed and started again", () => {
  const READERS = 4;
  let journey: ProcessJourney;
  beforeAll(async () => {
    journey = await startProcessJourney({
      LEASE_SECONDS: "3",
      MAX_STALLS: "5",
      SSE_RETRY_MS: "200",
    });
  });
  afterAll(() => journey?.close());

  it("every stream has the whole log, once and in order, and every wait its job", async () => {
    const client = createClient({ baseUrl: journey.product.url });
    const prompt = freshPrompt("[tokens=60 every=50]");
    const submission = await client.submit({ prompt, max_attempts: 5 });
    const texts = Array.from({ length: 2 }, () => Promise.withResolvers<void>());
    const events = Array.from({ length: READERS }, async () => {
      const seen = [];
      for await (const event of client.stream(submission)) {
        seen.push(event);
        if (event.type === "delta") texts[event.attempt - 1]?.resolve();
      }
      return seen;
    });
    const job = client.wait(submission.job_id);
    for (const { promise } of texts) {
      await promise;
      await journey.product.kill();
      await journey.product.start();
    }
    const { status, last_seq, result, attempts_made } = await job;
    expect(status).toBe("completed");
    const log = await journey.api.log(submission.job_id);
    expectWholeLog(log);
    expect(log).toHaveLength(last_seq);
    expect(attempts_made).toBe(3);
    expect(textOf(log, attempts_made)).toBe(result?.content);
    for (const seen of await Promise.all(events)) expect(seen).toEqual(log);
    expect(isTerminal(log.at(-1)?.type ?? "queued")).toBe(true);
  }, 150_000);
});
