import { describe, expect, it } from "vitest";

import { inputBefore, isToAsk } from "../../src/domain/advance.ts";
import { MOST_READ_BYTES, progressAfter, promptTokensAt } from "../../src/domain/course.ts";
import type { Job, PlannedStep } from "../../src/domain/job.ts";
import { wakeAt } from "../../src/domain/job.ts";
import { statsFactOf } from "../../src/domain/stats-fact.ts";
import { stepsOf } from "../../src/domain/step-view.ts";
import { accept, transition } from "../../src/domain/transition.ts";
import { viewOf } from "../../src/domain/view.ts";
import { JobView } from "../../src/schema/job.ts";
import { StepView } from "../../src/schema/job-steps.ts";
import {
  accepted,
  after,
  APPROVAL_STEP,
  COMMANDS,
  DAY,
  HOUR,
  HTTP_STEP,
  inStatus,
  LLM_STEP,
  NOW,
  REPORT,
  SECOND,
  specOf,
  taken,
  TEMPLATE_STEP,
} from "./fixtures.ts";
import { answerTo } from "./words.ts";

function weighing(...weights: number[]): PlannedStep[] {
  return weights.map((weight) => Object.assign({}, TEMPLATE_STEP, { weight }));
}

/** A job of these steps, after the first one's text was said and taken. */
function afterFirst(steps: PlannedStep[], over = {}): Job {
  return after(accepted({ steps, ...over }), NOW, COMMANDS.lease, COMMANDS.complete);
}

describe("progress", () => {
  it.each<[number[], number[]]>([
    [
      [15, 5, 30, 10, 30, 10],
      [0, 15, 20, 50, 60, 90, 100],
    ],
    [
      [1, 1, 1],
      [0, 33, 66, 100],
    ],
    [
      [0, 7, 0],
      [0, 0, 100, 100],
    ],
    [
      [0, 0],
      [0, 50, 100],
    ],
  ])("of steps that weigh %j is %j", (weights, shown) => {
    const steps = weighing(...weights);
    expect(shown.map((_, finished) => progressAfter(steps, finished))).toEqual(shown);
  });
});

describe("from one step to the next", () => {
  it("the job is on its way: active, with the next one's name, and nobody's lease", () => {
    const job = inStatus(afterFirst([LLM_STEP, HTTP_STEP]), "queued");
    expect(viewOf(job, NOW)).toMatchObject({ status: "active", progress: 50, step: "Fetching" });
    expect(viewOf(job, NOW)).not.toHaveProperty("queue_position");
    expect(job.ringAt).toBe(NOW + 30 * SECOND);
    expect(transition(job, COMMANDS.append, NOW)).toEqual({ ok: false, reason: "illegal" });
  });

  it("a model's timings stay the job's, where the steps behind it call none", () => {
    const report = { ...REPORT, ttftMs: 1, providerMs: 2 };
    const job = afterFirst([LLM_STEP, HTTP_STEP]);
    const done = after(job, NOW, COMMANDS.lease, { ...COMMANDS.complete, report });
    expect(viewOf(done, NOW).timings).toEqual({ queue_ms: 0, ttft_ms: 620, provider_ms: 7_700 });
  });

  it("nothing is begun that the job's budget no longer pays for", () => {
    const job = afterFirst([LLM_STEP, LLM_STEP], { maxCostUsd: 0.0009 });
    expect(job).toMatchObject({ status: "failing", failure: { code: "budget" } });
    const free = afterFirst([LLM_STEP, HTTP_STEP], { maxCostUsd: 0.0009 });
    expect(free.status).toBe("queued");
  });

  it("a prompt counts what it reads of the outputs before it", () => {
    const reading = { ...LLM_STEP, reads: [0, 0] };
    // "Hello" is five bytes, said twice: three tokens.
    expect(promptTokensAt(afterFirst([LLM_STEP, reading]))).toBe(12 + 3);
  });

  it("outputs too long for one call are not read, however often one is named", () => {
    const steps = [TEMPLATE_STEP, TEMPLATE_STEP, { ...TEMPLATE_STEP, reads: [0, 0, 1] }];
    const most = [MOST_READ_BYTES - 1, 1];
    const fits = taken(accept(specOf({ steps }), most)).job;
    expect(after(fits, NOW, COMMANDS.lease).status).toBe("active");
    const long = taken(accept(specOf({ steps }), [MOST_READ_BYTES, 1])).job;
    expect(after(long, NOW, COMMANDS.lease)).toMatchObject({
      status: "failing",
      failure: { message: "The outputs that the step refers to are too long" },
    });
  });

  it("is part of the job's life: what is over between two steps fails for that", () => {
    const job = afterFirst([LLM_STEP, LLM_STEP], { endBy: NOW + HOUR });
    const { job: late } = taken(transition(job, COMMANDS.wake, NOW + HOUR));
    expect(late).toMatchObject({ failure: { message: "The job ran out of its time" } });
  });
});

describe("a job that repeats another", () => {
  const steps = [APPROVAL_STEP, LLM_STEP, TEMPLATE_STEP];

  it("begins behind the steps that the other has finished", () => {
    const { job, events, effects } = taken(accept(specOf({ steps }), [20]));
    expect(events.map(({ type }) => type)).toEqual(["queued", "step_completed"]);
    expect(effects).toEqual([{ type: "ring" }]);
    const begun = taken(transition(job, COMMANDS.lease, NOW));
    expect(begun.events).toMatchObject([
      { type: "step_started", step: "Writing", index: 1 },
      { type: "progress", progress: 33 },
      { type: "started", attempt: 1 },
    ]);
    expect(viewOf(begun.job, NOW).started_at).toBe(new Date(NOW).toISOString());
  });

  it("asks for an approval that the other was not given", () => {
    const { job, effects } = taken(accept(specOf({ steps: [LLM_STEP, APPROVAL_STEP] }), [5]));
    expect([isToAsk(job, NOW), effects]).toEqual([true, []]);
  });
});

describe("a job that waits for an approval", () => {
  const asked = after(afterFirst([LLM_STEP, APPROVAL_STEP, HTTP_STEP]), NOW, COMMANDS.ask);
  const spec = asked.spec;
  const yes = answerTo(spec, 1, true);

  it("has nothing to do until it is answered, or nobody has", () => {
    expect(wakeAt(asked)).toBe(NOW + HOUR);
    expect(JobView.parse(viewOf(asked, NOW)).waiting_for?.request_id).toBe(yes.requestId);
  });

  it("rings for the step that follows, and for no approval", () => {
    expect(taken(transition(asked, yes, NOW)).effects).toEqual([{ type: "ring" }]);
    const two = after(accepted({ steps: [APPROVAL_STEP, APPROVAL_STEP] }), NOW, COMMANDS.ask);
    expect(taken(transition(two, COMMANDS.input, NOW)).effects).toEqual([]);
  });

  it("knows what it was answered, and what it never asked", () => {
    const job = after(asked, NOW, yes);
    expect(inputBefore(job, yes.requestId, yes.digest)).toBe("same");
    expect(inputBefore(job, yes.requestId, "another")).toBe("other");
    expect(inputBefore(job, answerTo(spec, 0, true).requestId, yes.digest)).toBe("unasked");
    expect(inputBefore(job, answerTo(spec, 2, true).requestId, yes.digest)).toBe("unasked");
    expect(inputBefore(accepted(), yes.requestId, yes.digest)).toBe("unasked");
  });

  it("is slow for nobody's statistics", () => {
    const then = NOW + DAY;
    const later = { ...asked, expiresAt: then + HOUR } as Job;
    const done = after(later, then, yes, COMMANDS.lease, COMMANDS.complete);
    const end = { type: "completed", result: {}, seq: done.seq, at: new Date(then).toISOString() };
    expect(statsFactOf("name", done, end as never)).toMatchObject({ totalMs: 0 });
    expect(viewOf(done, then)).toMatchObject({ processing_time_ms: 0 });
  });
});

describe("the steps of a job, as its owner sees them,", () => {
  const steps = [LLM_STEP, APPROVAL_STEP, HTTP_STEP];
  const asked = after(afterFirst(steps), NOW, COMMANDS.ask);
  const running = after(asked, NOW, answerTo(asked.spec, 1, true), COMMANDS.lease);
  const refused = answerTo(asked.spec, 1, false);

  it.each<[string, Job, string[]]>([
    ["queued", accepted({ steps }), ["pending", "pending", "pending"]],
    [
      "at its first",
      after(accepted({ steps }), NOW, COMMANDS.lease),
      ["active", "pending", "pending"],
    ],
    ["waiting", asked, ["completed", "waiting", "pending"]],
    ["at its last", running, ["completed", "completed", "active"]],
    ["to be tried again", after(running, NOW, COMMANDS.fail), ["completed", "completed", "active"]],
    ["completed", after(running, NOW, COMMANDS.complete), ["completed", "completed", "completed"]],
    [
      "cancelled at its last",
      after(running, NOW, COMMANDS.cancel),
      ["completed", "completed", "cancelled"],
    ],
    [
      "cancelled at its second",
      after(asked, NOW, COMMANDS.cancel),
      ["completed", "cancelled", "skipped"],
    ],
    ["not approved", after(asked, NOW, refused), ["completed", "cancelled", "skipped"]],
    [
      "cancelled unbegun",
      after(accepted({ steps }), NOW, COMMANDS.cancel),
      ["skipped", "skipped", "skipped"],
    ],
  ])("of one that is %s", (_, job, statuses) => {
    const shown = stepsOf(job, () => "output");
    expect(shown.map(({ status }) => status)).toEqual(statuses);
    for (const step of shown) expect(StepView.parse(step)).toEqual(step);
  });

  it("leave out what is too long, and say so", () => {
    const [first] = stepsOf(asked, () => null);
    expect(first).toMatchObject({ output_bytes: 5, truncated: true, model: "gpt-4o-2024-08-06" });
    expect(first).not.toHaveProperty("output");
  });

  it("are none of a job that is one call", () => {
    expect(stepsOf(accepted(), () => "")).toEqual([]);
  });
});
