import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { expectWholeLog } from "../support/api.ts";
import { answerOf, freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney({ ATTEMPTS: "awaited" });
});
afterAll(() => journey.close());

describe("where the queue waits for its attempts, as in production", () => {
  it("a failed call is made again by the queue's own retry", async () => {
    const prompt = freshPrompt("[status=500 x1]");
    const { job_id } = await journey.api.submit({ prompt });
    const job = await journey.api.ended(job_id);
    const calls = journey.provider.callsFor(prompt);
    expect(calls).toHaveLength(2);
    expect(job).toMatchObject({
      status: "completed",
      attempts_made: 2,
      result: { content: answerOf(calls[1] ?? { id: 0 }) },
    });
    expectWholeLog(await journey.api.log(job_id));
  });

  it("a job that is not started within its ttl_seconds fails as expired, without a call", async () => {
    // Locally a queue carries out one batch at a time, so the second job cannot start before the first ends.
    const first = await journey.api.submit({ prompt: freshPrompt("[tokens=40 every=100]") });
    await journey.api.readUntil(first.job_id, ({ status }) => status === "active");
    const prompt = freshPrompt();
    const { job_id } = await journey.api.submit({ prompt, ttl_seconds: 1 });
    const job = await journey.api.ended(job_id);
    expect(job).toMatchObject({ status: "failed", error_code: "expired", attempts_made: 0 });
    expect((await journey.api.ended(first.job_id)).status).toBe("completed");
    const log = await journey.api.log(job_id);
    expectWholeLog(log);
    expect(log.at(-1)).toMatchObject({ type: "failed", error_code: "expired", attempts: 0 });
    const expiredAfterMs = Date.parse(job.failed_at ?? "") - Date.parse(job.submitted_at);
    expect(expiredAfterMs).toBeGreaterThanOrEqual(1_000);
    expect(expiredAfterMs).toBeLessThan(4_000);
    // Its message is still in the queue; what comes after it shows that it was read and did nothing.
    const third = await journey.api.submit({ prompt: freshPrompt() });
    await journey.api.ended(third.job_id);
    expect(journey.provider.callsFor(prompt)).toEqual([]);
  });
});
