import { afterAll, beforeAll, expect, it } from "vitest";

import { expectWholeLog } from "../support/api.ts";
import { freshPrompt, startProcessJourney, type ProcessJourney } from "../support/journey.ts";
import { CLIENTS } from "../support/reconnecting.ts";

let journey: ProcessJourney;
beforeAll(async () => {
  journey = await startProcessJourney({ LEASE_SECONDS: "3", SSE_RETRY_MS: "200" });
});
afterAll(() => journey.close());

it("F13: every client has the whole log though all sockets are dropped twice, as by a deploy", async () => {
  const prompt = freshPrompt("[tokens=60 every=100]");
  const job = await journey.api.submit({ prompt, max_attempts: 5 });
  const stories = Object.values(CLIENTS).map((follow) => follow(journey.api.url, job));
  for (const seen of [10, 20]) {
    await journey.api.firstEvent(job.job_id, ({ seq }) => seq > seen);
    await journey.product.kill();
    await journey.product.start();
  }
  const [log = [], ...others] = await Promise.all(stories);
  expectWholeLog(log);
  expect(log.at(-1)?.type).toBe("completed");
  for (const other of others) expect(other).toEqual(log);
  expect(await journey.api.log(job.job_id)).toEqual(log);
}, 120_000);
