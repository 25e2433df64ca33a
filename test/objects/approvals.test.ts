import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import type { Answered, Found, Input } from "../../src/job/job-rpc.ts";
import type { Webhook } from "../../src/domain/webhook.ts";
import type { CreateJob, JobView } from "../../src/schema/job.ts";
import { come, Echo, progressOf, ringAfter, stepsOf, submitted } from "./steps-stage.ts";
import {
  DAY_MS,
  events,
  holdClock,
  job,
  logged,
  objectOf,
  passTime,
  queues,
  stored,
  view,
} from "./support.ts";

holdClock();

const DRAFTED: CreateJob = {
  steps: [
    { name: "draft", type: "llm", prompt: "Write" },
    {
      name: "approve",
      type: "approval",
      message: "May this go out? {{steps.draft.output}}",
      expires_in_seconds: 7 * 86_400,
    },
    {
      name: "send",
      type: "template",
      template: "{{steps.draft.output}}, said {{steps.approve.json.comment}}",
    },
  ],
};

/** A job that waits for its approval, and the id of what it asks. */
async function waiting(request = DRAFTED): Promise<{ name: string; requestId: string }> {
  const name = await submitted(request);
  await come(name, new Echo().model);
  const { waiting_for: asked } = await view(name);
  if (asked === undefined) throw new Error("nothing is asked");
  return { name, requestId: asked.request_id };
}

function answer(requestId: string, approved = true, comment = "Ada"): Input {
  const output = JSON.stringify({ approved, comment, data: null });
  return { requestId, approved, output, digest: output };
}

async function typeOf(answered: Promise<Found<Answered>>): Promise<string> {
  const found = await answered;
  return found.type === "found" ? found.value.type : found.type;
}

describe("a job that comes to an approval", () => {
  it("asks for it, and says what and until when", async () => {
    const { name, requestId } = await waiting();
    expect(await view(name)).toMatchObject({
      status: "active",
      progress: 33,
      step: "approve",
      waiting_for: {
        type: "approval",
        step: "approve",
        request_id: requestId,
        message: "May this go out? <Write>",
        expires_at: new Date(Date.now() + 7 * DAY_MS).toISOString(),
      },
    });
    expect((await events(name)).findLast(({ type }) => type === "step_started")).toMatchObject({
      step: "approve",
      index: 1,
      request_id: requestId,
      message: "May this go out? <Write>",
    });
    expect(await stepsOf(name)).toMatchObject([
      { status: "completed" },
      { status: "waiting", request_id: requestId, attempts: 0 },
      { status: "pending" },
    ]);
  });

  it("costs nothing while it waits: no message, and one alarm at the end", async () => {
    const { name } = await waiting();
    const sent = queues.to(name).length;
    const until = Date.now() + 7 * DAY_MS;
    await evictDurableObject(objectOf(name));
    // What was to ring for its last step rings once, for nothing.
    await ringAfter(name, 30_000);
    expect((await stored(name)).alarm).toBe(until);
    expect(await come(name, new Echo().model)).toEqual({ type: "ack" });
    passTime(5 * DAY_MS);
    expect((await view(name)).status).toBe("active");
    expect(queues.to(name)).toHaveLength(sent);
  });

  it("goes on once it is approved, though it waited longer than a job may live", async () => {
    const { name, requestId } = await waiting();
    await evictDurableObject(objectOf(name));
    passTime(6 * DAY_MS);
    const sent = queues.to(name).length;
    expect(await typeOf(job(name).input(answer(requestId)))).toBe("taken");
    expect(queues.to(name)).toHaveLength(sent + 1);
    await come(name, new Echo().model);
    const done = await view(name);
    expect(done).toMatchObject({ status: "completed", result: { content: "<Write>, said Ada" } });
    expect(done.processing_time_ms).toBe(0);
    expect(progressOf(await events(name)).map(([progress]) => progress)).toEqual([0, 33, 66, 100]);
  });

  it("is answered once: the same again is answered the same, another is refused", async () => {
    const { name, requestId } = await waiting();
    const twice = [answer(requestId), answer(requestId), answer(requestId, false)];
    const told = await Promise.all(twice.map((one) => typeOf(job(name).input(one))));
    expect(told).toEqual(["taken", "taken", "other"]);
    await come(name, new Echo().model);
    expect(await typeOf(job(name).input(answer(requestId)))).toBe("taken");
    const given = (await events(name)).filter((event) => event.type === "step_completed");
    expect(given.map(({ step }) => step)).toEqual(["draft", "approve", "send"]);
  });

  it("takes no answer to what it does not ask", async () => {
    const { name, requestId } = await waiting();
    const before = await view(name);
    const others = ["input_other_1", requestId.replace(/1$/, "0"), requestId.replace(/1$/, "2")];
    for (const other of others) {
      expect(await typeOf(job(name).input(answer(other)))).toBe("unasked");
    }
    expect(await view(name)).toEqual(before);
  });

  it("is cancelled if it is not approved, and says so again to who says so again", async () => {
    const { name, requestId } = await waiting();
    expect(await typeOf(job(name).input(answer(requestId, false)))).toBe("taken");
    expect(await view(name)).toMatchObject({ status: "cancelled", reason: "Rejected" });
    expect(await typeOf(job(name).input(answer(requestId, false)))).toBe("taken");
    expect(await typeOf(job(name).input(answer(requestId)))).toBe("other");
    expect(await stepsOf(name)).toMatchObject([
      { status: "completed" },
      { status: "cancelled", output: expect.stringContaining('"approved":false') },
      { status: "skipped" },
    ]);
  });

  it("fails when nobody has answered in time", async () => {
    const { name, requestId } = await waiting();
    await ringAfter(name, 7 * DAY_MS);
    expect(queues.to(name).at(-1)).toBe("DEAD_LETTERS");
    await job(name).giveUp();
    await job(name).deadLettered();
    expect(await view(name)).toMatchObject({
      status: "failed",
      error: "The approval was not given in time",
      error_code: "expired",
    });
    expect(await typeOf(job(name).input(answer(requestId)))).toBe("unasked");
  });

  it("may be cancelled and deleted as any other", async () => {
    const { name, requestId } = await waiting();
    await job(name).cancel("Cancelled by the client");
    expect(await view(name)).toMatchObject({ status: "cancelled", progress: 33 });
    expect(await typeOf(job(name).input(answer(requestId)))).toBe("unasked");
    const other = await waiting();
    await job(other.name).delete();
    expect(await typeOf(job(other.name).input(answer(other.requestId)))).toBe("gone");
  });

  it("tells nothing of what is asked, answered or said to the operator's log or the queues", async () => {
    const canary = "canary-3b1f9c";
    const { name, requestId } = await waiting({
      input: canary,
      steps: [
        { name: `draft ${canary}`, type: "llm", prompt: "{{input}}" },
        { name: `approve ${canary}`, type: "approval", message: "{{input}}" },
        { name: `send ${canary}`, type: "template", template: "{{input}}" },
      ],
    });
    await job(name).input(answer(requestId, true, canary));
    await come(name, new Echo().model);
    expect((await view(name)).result?.content).toBe(canary);
    expect(logged.filter((line) => line.includes(canary))).toEqual([]);
    expect(JSON.stringify(queues.sent)).not.toContain(canary);
  });

  it("at once, or last, is asked as well; its answer is the job's then", async () => {
    const { name, requestId } = await waiting({ steps: [{ name: "only", type: "approval" }] });
    expect(queues.to(name)).toEqual([]);
    const found = await job(name).input(answer(requestId));
    expect(found).toMatchObject({
      value: {
        view: {
          status: "completed",
          model: "none",
          cost_usd: null,
          result: { content: answer(requestId).output, model: "none", usage: null },
        },
      },
    });
  });

  it("tells its webhook what is asked, and what was answered", async () => {
    const webhook: Webhook = {
      url: "https://receiver.example.com/hooks",
      gate: "gate",
      events: ["job.progress", "job.completed"],
      headers: null,
      submittedTo: "https://afterword.example.com",
      maxBodyBytes: 20_480,
    };
    const name = await submitted({ steps: [{ name: "only", type: "approval" }] }, { webhook });
    const told = async (): Promise<{ type: string; data: JobView }> => {
      const next = await job(name).nextDelivery("token", 1_000);
      if (next.type !== "owed") throw new Error("nothing is owed");
      return JSON.parse(next.body) as { type: string; data: JobView };
    };
    const asked = await told();
    expect([asked.type, asked.data.waiting_for?.step]).toEqual(["job.progress", "only"]);
    const given = answer(asked.data.waiting_for?.request_id ?? "");
    await job(name).input(given);
    const ended = await told();
    expect([ended.type, ended.data.result?.content]).toEqual(["job.completed", given.output]);
  });

  it("is asked when the job is due, not before", async () => {
    const name = await submitted({
      delay_seconds: 3_600,
      steps: [{ name: "only", type: "approval" }],
    });
    expect(await view(name)).toMatchObject({ status: "queued", run_at: expect.any(String) });
    await ringAfter(name, 3_600_000);
    expect((await view(name)).waiting_for).toMatchObject({ step: "only", message: "" });
  });

  it("is not asked where it cannot be said what", async () => {
    const message = "{{steps.draft.json.title}}";
    const name = await submitted({
      steps: [
        { name: "draft", type: "llm", prompt: "Write" },
        { name: "approve", type: "approval", message },
      ],
    });
    await come(name, new Echo().model);
    await job(name).deadLettered();
    expect(await view(name)).toMatchObject({
      status: "failed",
      error: "The output of step 1 is not JSON",
    });
    expect(await stepsOf(name)).toMatchObject([{ status: "completed" }, { status: "failed" }]);
  });
});
