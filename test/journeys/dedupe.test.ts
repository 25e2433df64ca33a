import { afterAll, beforeAll, expect, it } from "vitest";

import type { JobAccepted, JobReplayed } from "../../src/schema/job.ts";
import { expectJson } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

const WINDOW = { dedupe_window_seconds: 60 };

it("the same content within the window is one job, one call and one bill", async () => {
  const prompt = freshPrompt();
  const job = { prompt, user: "ada", params: { temperature: 0.5, seed: 1 }, ...WINDOW };
  const { job_id } = await journey.api.submit(job);
  const response = await journey.api.send(job);
  expect(response.headers.get("idempotent-replayed")).toBe("true");
  const replayed = await expectJson<JobReplayed>(response, 200);
  expect(replayed).toMatchObject({ job_id, status: "already_submitted" });
  await journey.api.ended(job_id);
  // Said in another order, and with the default model by its name, it is the same.
  const reordered = { ...WINDOW, params: { seed: 1, temperature: 0.5 }, user: "ada", prompt };
  const same = await journey.api.send({ ...reordered, model: "gpt-4o" });
  expect(await expectJson<JobReplayed>(same, 200)).toMatchObject({ job_id });
  expect(journey.provider.callsFor(prompt)).toHaveLength(1);
});

it("twenty at once are one job", async () => {
  const job = { prompt: freshPrompt(), ...WINDOW };
  const answers = await Promise.all(Array.from({ length: 20 }, () => journey.api.send(job)));
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(19);
  const bodies = await Promise.all(answers.map((answer) => answer.json()));
  const ids = new Set((bodies as JobAccepted[]).map(({ job_id }) => job_id));
  expect(ids.size).toBe(1);
  const [id = ""] = ids;
  await journey.api.ended(id);
  expect(journey.provider.callsFor(job.prompt)).toHaveLength(1);
});

it.each([
  ["another user", { user: "grace" }],
  ["another model", { model: "gpt-4o-mini" }],
  ["other parameters", { params: { temperature: 0.1 } }],
  ["a window of none", { dedupe_window_seconds: 0 }],
])("content that differs by %s is another job", async (_, other) => {
  const job = { prompt: freshPrompt(), user: "ada", ...WINDOW };
  const { job_id } = await journey.api.submit(job);
  expect((await journey.api.submit({ ...job, ...other })).job_id).not.toBe(job_id);
});

it("an Idempotency-Key says more than the content: two keys are two jobs", async () => {
  const job = { prompt: freshPrompt(), ...WINDOW };
  await journey.api.submit(job, "dedupe-1");
  const { job_id } = await journey.api.submit(job, "dedupe-2");
  expect(job_id).toBe("dedupe-2");
});

it("content whose job was deleted is asked anew, and shared from then on", async () => {
  const job = { prompt: freshPrompt(), ...WINDOW };
  const { job_id } = await journey.api.submit(job);
  await journey.api.ended(job_id);
  await journey.api.delete(job_id);
  const anew = await journey.api.submit(job);
  expect(anew.job_id).not.toBe(job_id);
  expect(await expectJson<JobReplayed>(await journey.api.send(job), 200)).toMatchObject({
    job_id: anew.job_id,
  });
});

it("the same content after the window is another job", async () => {
  const job = { prompt: freshPrompt(), dedupe_window_seconds: 1 };
  const { job_id } = await journey.api.submit(job);
  const later = async () =>
    ((await (await journey.api.send(job)).json()) as JobAccepted).job_id === job_id;
  await expect.poll(later, { timeout: 10_000, interval: 200 }).toBe(false);
});
