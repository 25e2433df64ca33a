import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { expectJson } from "../support/api.ts";
import { freshPrompt, startJourney } from "../support/journey.ts";
import { delayed } from "../support/receiver.ts";
import { startWebhookJourney } from "../support/webhook-journey.ts";

const start = () => startWebhookJourney(startJourney);
let journey: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  journey = await start();
});
// Every delivery there was is verified by everybody's code, whatever its test looked at.
afterEach(() => journey.webhooks.audit());
afterAll(() => journey.close());

describe("a job's webhook", () => {
  it("is told that the job is completed, as its owner reads it", async () => {
    const metadata = { größe: "5 € \u2028 😀" };
    const { id, path } = await journey.webhooks.submit([], { prompt: freshPrompt(), metadata });
    const { event } = await journey.webhooks.settled(id, path);
    const job = await journey.api.read(id);
    expect(job).toMatchObject({ status: "completed", metadata });
    expect(event).toEqual({
      type: "job.completed",
      timestamp: job.completed_at,
      data: job,
      event: "job.completed",
      job_id: id,
      result: job.result,
      submitted_at: job.submitted_at,
      completed_at: job.completed_at,
    });
  });

  it("is told that the job has failed, and why", async () => {
    const job = { prompt: freshPrompt("[status=500]"), max_attempts: 2 };
    const { id, path } = await journey.webhooks.submit([], job);
    const { event } = await journey.webhooks.settled(id, path);
    const failed = await journey.api.read(id);
    expect(failed).toMatchObject({ status: "failed", dlq_id: expect.any(String) });
    expect(event).toEqual({
      type: "job.failed",
      timestamp: failed.failed_at,
      data: failed,
      event: "job.failed",
      job_id: id,
      error: failed.error,
      error_code: "provider_unavailable",
      attempts: 2,
      submitted_at: failed.submitted_at,
      failed_at: failed.failed_at,
    });
  });

  it("is told once that the job was cancelled, with its text so far, and of no other end", async () => {
    const job = { prompt: freshPrompt("[tokens=200 every=50]") };
    const { id, path } = await journey.webhooks.submit([], job);
    await journey.api.firstEvent(id, ({ type }) => type === "delta");
    await Promise.all(Array.from({ length: 5 }, () => journey.api.cancel(id)));
    const { event } = await journey.webhooks.settled(id, path);
    expect(event).toMatchObject({
      type: "job.cancelled",
      reason: "Cancelled by the client",
      data: { status: "cancelled", partial_output: expect.stringMatching(/^a\d+\.0 /) },
    });
    expect(await journey.webhooks.deliveries(id)).toHaveLength(1);
  });

  it("is told that a job was cancelled before it was due", async () => {
    const job = { prompt: freshPrompt(), delay_seconds: 600 };
    const { id, path } = await journey.webhooks.submit([], job);
    const cancelled = await journey.api.cancel(id);
    const { event } = await journey.webhooks.settled(id, path);
    expect(event).toMatchObject({
      type: "job.cancelled",
      timestamp: cancelled.cancelled_at,
      cancelled_at: cancelled.cancelled_at,
    });
    expect(journey.provider.callsFor(job.prompt)).toEqual([]);
  });

  it("is told where the result is if it is long: there it is whole", async () => {
    const job = { prompt: freshPrompt("[tokens=4000]") };
    const { id, path } = await journey.webhooks.submit([], job);
    const { event, body } = await journey.webhooks.settled(id, path);
    expect(body.byteLength).toBeLessThan(20_480);
    const { data, ...told } = event;
    expect(told).toMatchObject({ type: "job.completed", result_url: expect.any(String) });
    expect("result" in told || "result" in data).toBe(false);
    const url = "result_url" in told ? (told.result_url ?? "") : "";
    expect(data.result_url).toBe(url);
    const { result, ...rest } = await expectJson<{ result: object }>(await fetch(url), 200);
    expect(result).toMatchObject({ content: expect.stringMatching(/^a\d+\.0 .* a\d+\.3999 $/) });
    expect(data).toEqual({ ...rest, result_url: url });
  });

  it("hears nothing before the end is durable: while it is being told, the job says so too", async () => {
    const told = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { id, path } = await journey.webhooks.submit([delayed(2_000)]);
        await journey.receiver.received(1, { path });
        return journey.api.read(id);
      }),
    );
    expect(told.map(({ status }) => status)).toEqual(told.map(() => "completed"));
  });

  it("never holds its job's end back", async () => {
    const { id, path } = await journey.webhooks.submit([500, 500, 200]);
    expect(await journey.api.ended(id)).toMatchObject({ status: "completed" });
    expect(journey.receiver.at(path).length).toBeLessThan(3);
    await journey.webhooks.taken(path, 3);
  });

  it("is one of no job that names none", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt() });
    await journey.api.ended(job_id);
    expect(await journey.webhooks.deliveries(job_id)).toEqual([]);
  });
});

describe("webhook_events", () => {
  const events = ["job.started" as const, "job.progress" as const];

  it("adds the start and the progress, in the order of the log, and the end comes always", async () => {
    const prompt = freshPrompt("[tokens=10 every=150]");
    const { id, path } = await journey.webhooks.submit([], { prompt, webhook_events: events });
    const deliveries = await journey.webhooks.deliveriesUntil(id, (all) =>
      all.some(({ event, status }) => event === "job.completed" && status === "delivered"),
    );
    const delivered = deliveries.filter(({ status }) => status === "delivered");
    const taken = await journey.webhooks.taken(path, delivered.length);
    const types = taken.map(({ event }) => event.type);
    expect(types[0]).toBe("job.started");
    expect(types).toContain("job.progress");
    expect(types.at(-1)).toBe("job.completed");
    expect(taken.map((one) => one.id)).toEqual(delivered.map(({ delivery_id }) => delivery_id));
    const log = await journey.api.log(id);
    const seqs = taken.map((one) => Number(one.id.split("_").at(-1)));
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    for (const [at, { event }] of taken.entries()) {
      const { type, at: timestamp } = log[(seqs[at] ?? 0) - 1] ?? {};
      expect([event.type, event.timestamp]).toEqual([`job.${type}`, timestamp]);
    }
  });

  it("tells of the job as it was then", async () => {
    const prompt = freshPrompt("[tokens=10 every=150]");
    const { path } = await journey.webhooks.submit([], { prompt, webhook_events: events });
    const [started, progress] = await journey.webhooks.taken(path, 2);
    expect(started?.event).toMatchObject({
      type: "job.started",
      attempt: 1,
      model: "gpt-4o",
      provider: "openai",
      data: { status: "active", attempts_made: 1 },
    });
    expect(progress?.event).toMatchObject({
      type: "job.progress",
      progress: 10,
      step: "Starting LLM API call",
      data: { status: "active", progress: 10 },
    });
  });

  it("tells of progress no more often than every half second", async () => {
    const prompt = freshPrompt("[cut=5 every=60 x4][tokens=10 every=60]");
    const job = { prompt, max_attempts: 5, webhook_events: events };
    const { id, path } = await journey.webhooks.submit([], job);
    await journey.webhooks.deliveriesUntil(id, (all) =>
      all.some(({ event, status }) => event === "job.completed" && status === "delivered"),
    );
    const taken = await journey.webhooks.taken(path, 2);
    const all = await journey.webhooks.taken(path, journey.receiver.at(path).length);
    const sentAt = all
      .filter(({ event }) => event.type === "job.progress")
      .map(({ headers }) => Number(headers["x-webhook-timestamp"]));
    expect(sentAt.length).toBeGreaterThan(1);
    const apart = sentAt.slice(1).map((at, index) => at - (sentAt[index] ?? 0));
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(500);
    expect(taken[0]?.event.type).toBe("job.started");
  });

  it("leaves out no end, whichever it names", async () => {
    const named = { webhook_events: ["job.failed" as const], prompt: freshPrompt() };
    const { id, path } = await journey.webhooks.submit([], named);
    expect((await journey.webhooks.settled(id, path)).event.type).toBe("job.completed");
  });
});
