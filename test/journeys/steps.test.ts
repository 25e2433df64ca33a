import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { StepView } from "../../src/schema/job-steps.ts";
import type { JobView } from "../../src/schema/job.ts";
import { expectJson, expectProblem, expectWholeLog, textOf } from "../support/api.ts";
import { SocketFollower } from "../support/follow-socket.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

/** What the articles' `retrieve` step asks. */
const index = { url: "", asked: [] as string[] };
const server = createServer((request, response) => {
  index.asked.push(request.url ?? "");
  response.end("Air scatters blue light more than red.");
});

let journey: Journey;
beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  index.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  journey = await startJourney({ WEBHOOK_ALLOWED_ORIGINS: index.url });
});
afterAll(async () => {
  await journey.close();
  server.close();
});

async function stepsOf(id: string): Promise<StepView[]> {
  const response = await journey.api.fetch(`/api/jobs/${id}/steps`);
  return (await expectJson<{ steps: StepView[] }>(response, 200)).steps;
}

function answer(id: string, body: object): Promise<Response> {
  return journey.api.post(`/api/jobs/${id}/input`, body);
}

const six = (question: string) => ({
  input: { question },
  steps: [
    {
      name: "Retrieving context",
      weight: 15,
      type: "http",
      url: `${index.url}/search?q={{input.question}}`,
    },
    {
      name: "Building prompt",
      weight: 5,
      type: "template",
      template: "{{steps.Retrieving context.output}} {{input.question}}",
    },
    {
      name: "Generating draft",
      weight: 30,
      type: "llm",
      prompt: "{{steps.Building prompt.output}}",
    },
    {
      name: "Self-critique",
      weight: 10,
      type: "llm",
      prompt: "Criticise {{steps.Generating draft.output}}",
    },
    {
      name: "Revising",
      weight: 30,
      type: "llm",
      prompt: "Revise {{steps.Generating draft.output}} by {{steps.Self-critique.output}}",
    },
    {
      name: "Formatting",
      weight: 10,
      type: "template",
      template: "# Answer\n{{steps.Revising.output}}",
    },
  ],
});

describe("a job of several steps", () => {
  it("shows the article's six steps as they go, on every way to follow it", async () => {
    const { job_id } = await journey.api.submit(six(freshPrompt()));
    const socket = await SocketFollower.open(journey.api.url, `/ws/jobs/${job_id}`);
    const log = await journey.api.log(job_id);
    expectWholeLog(log);
    const shown = log.flatMap((event) =>
      event.type === "progress" ? [`${event.progress} ${event.step}`] : [],
    );
    expect(shown).toEqual([
      "0 Retrieving context",
      "15 Building prompt",
      "20 Generating draft",
      "50 Self-critique",
      "60 Revising",
      "90 Formatting",
      "100 Complete",
    ]);
    const job = await journey.api.read(job_id);
    expect(job).toMatchObject({ status: "completed", progress: 100, attempts_made: 6 });
    expect(job.result?.content).toBe(textOf(log, 6));
    expect(job.result?.content).toMatch(/^# Answer\na/);
    const calls = journey.provider.calls.slice(-3).map(({ prompt }) => prompt);
    expect(calls[0]).toMatch(/^Air scatters blue light more than red\. Question/);
    expect(calls[2]).toContain("by a");
    expect(await socket.closed).toBe(1000);
    const names = socket.frames.map((frame) => (JSON.parse(frame) as { type: string }).type);
    expect(names.filter((name) => name === "job_step_started")).toHaveLength(6);
    expect(names.filter((name) => name === "job_step_completed")).toHaveLength(6);
    const steps = await stepsOf(job_id);
    expect(steps.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => "completed"));
    expect(steps[5]?.output).toBe(job.result?.content);
    expect(index.asked).toHaveLength(1);
  });

  it("that failed is tried again from its unfinished step on, by what the others have left", async () => {
    const first = freshPrompt();
    const second = freshPrompt("[status=400 x1]");
    const { job_id: id } = await journey.api.submit({
      steps: [
        { name: "draft", type: "llm", prompt: first },
        { name: "final", type: "llm", prompt: second },
        {
          name: "join",
          type: "template",
          template: "{{steps.draft.output}}{{steps.final.output}}",
        },
      ],
    });
    expect(await journey.api.ended(id)).toMatchObject({ status: "failed", progress: 33 });
    const { job_id } = await journey.api.retry(id);
    const again = await journey.api.ended(job_id);
    expect(again).toMatchObject({ status: "completed", replay_of: id, attempts_made: 2 });
    expect(journey.provider.callsFor(first)).toHaveLength(1);
    const [draft, final] = await stepsOf(job_id);
    expect(draft).toMatchObject({ status: "completed", carried: true, attempts: 0 });
    expect(again.result?.content).toBe(`${draft?.output}${final?.output}`);
    expectWholeLog(await journey.api.log(job_id));
  });

  it("waits for an approval, which is given once", async () => {
    const { job_id: id } = await journey.api.submit({
      steps: [
        { name: "approve", type: "approval", message: "Go on?" },
        { name: "note", type: "template", template: "{{steps.approve.json.data.by}}" },
      ],
    });
    const { status, waiting_for } = await journey.api.read(id);
    expect([status, waiting_for?.message]).toEqual(["active", "Go on?"]);
    const request_id = waiting_for?.request_id;
    const yes = { request_id, approved: true, data: { by: "Ada" } };
    await expectProblem(await answer(id, { ...yes, later: 1 }), 400, "invalid-request");
    const other = await answer(id, { ...yes, request_id: "input_x_0" });
    await expectProblem(other, 409, "input-not-awaited");
    const heavy = await answer(id, { ...yes, data: "x".repeat(40_000) });
    await expectProblem(heavy, 413, "payload-too-large");
    expect(await expectJson<JobView>(await answer(id, yes), 200)).toMatchObject({ job_id: id });
    const job = await journey.api.ended(id);
    expect(job).toMatchObject({ status: "completed", result: { content: "Ada" } });
    // Whatever the order of its fields, it is the same answer.
    const same = await answer(id, { data: { by: "Ada" }, approved: true, request_id });
    expect((await expectJson<JobView>(same, 200)).status).toBe("completed");
    const no = await answer(id, { request_id, approved: false });
    await expectProblem(no, 409, "input-already-given");
    const unknown = await answer("no-such-job", yes);
    await expectProblem(unknown, 404, "job-not-found");
  });
});
