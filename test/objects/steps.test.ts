import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { runAttempt } from "../../src/consumer/attempt.ts";
import type { Permits } from "../../src/consumer/permits.ts";
import type { CreateJob } from "../../src/schema/job.ts";
import { configOf } from "../../src/settings/config.ts";
import type { CallModel } from "../../src/provider/call.ts";
import { answering, ANSWERED, beingCut, portsOf, untilStopped } from "./scripted.ts";
import { come, Echo, progressOf, ringAfter, SIX_STEPS, stepsOf, submitted } from "./steps-stage.ts";
import {
  COST,
  events,
  holdClock,
  job,
  logged,
  objectOf,
  passTime,
  queues,
  stored,
  typesOf,
  view,
} from "./support.ts";

holdClock();

const TWO_CALLS = {
  steps: [
    { name: "draft", type: "llm", prompt: "Write", timeout_ms: 5_000, max_attempts: 2 },
    { name: "final", type: "llm", prompt: "Mend {{steps.draft.output}}", timeout_ms: 7_000 },
  ],
} satisfies CreateJob;

/** Answers the first call, and does this at all others. */
function thenAt(second: CallModel): CallModel & { calls: string[] } {
  const calls: string[] = [];
  const model: CallModel = (call, onText, stop) => {
    calls.push(call.request.prompt ?? "");
    if (calls.length > 1) return second(call, onText, stop);
    onText("a draft");
    return Promise.resolve(ANSWERED);
  };
  return Object.assign(model, { calls });
}

describe("a job of several steps", () => {
  it("shows the founding article's progress and names, and ends with its last step's output", async () => {
    const name = await submitted(SIX_STEPS);
    const echo = new Echo();
    expect(await come(name, echo.model, { http: answering("Rayleigh") })).toEqual({ type: "ack" });
    expect(progressOf(await events(name))).toEqual([
      [0, "Retrieving context"],
      [15, "Building prompt"],
      [20, "Generating draft"],
      [50, "Self-critique"],
      [60, "Revising"],
      [90, "Formatting"],
      [100, "Complete"],
    ]);
    const built = "Rayleigh\n\nWhy is the sky blue?";
    const draft = `<${built}>`;
    const critique = `<What is wrong with this? ${draft}>`;
    const revised = `<${draft} / ${critique}>`;
    expect(echo.asked).toEqual([built, critique.slice(1, -1), revised.slice(1, -1)]);
    const shown = await view(name);
    expect(shown).toMatchObject({
      status: "completed",
      model: "gpt-4o",
      attempts_made: 6,
      result: {
        content: `# Answer\n${revised}`,
        model: "gpt-4o-2024-08-06",
        finish_reason: "stop",
      },
    });
    expect(shown.result?.usage).toEqual({
      prompt_tokens: 27,
      completion_tokens: 270,
      total_tokens: 297,
    });
    expect(shown.cost_usd).toBeCloseTo(3 * COST, 9);
    expect((await stepsOf(name)).map(({ status, output }) => [status, output])).toEqual([
      ["completed", "Rayleigh"],
      ["completed", built],
      ["completed", draft],
      ["completed", critique],
      ["completed", revised],
      ["completed", `# Answer\n${revised}`],
    ]);
  });

  it("takes one message and two rows a step, and names no step in the operator's log", async () => {
    const name = await submitted(SIX_STEPS);
    // Text that nobody watches is joined, as in production.
    await come(name, new Echo().model, { http: answering("Rayleigh"), config: configOf(env) });
    expect(queues.to(name)).toEqual(["LANE_NORMAL"]);
    expect((await stored(name)).rows).toHaveLength(1 + 2 * 6);
    expect(logged.filter((line) => line.includes("Retrieving context"))).toEqual([]);
  });

  it("tells each step's start and end, in their order", async () => {
    const name = await submitted(TWO_CALLS);
    await come(name, new Echo().model);
    const told = (await typesOf(name)).filter((type) => type !== "delta");
    const step = ["started", "step_completed"] as const;
    expect(told).toEqual([
      "queued",
      ...(["step_started", "progress", ...step] as const),
      ...(["step_started", "progress", ...step] as const),
      "progress",
      "completed",
    ]);
  });

  it("that is killed within its second step goes on there, and pays for the first once", async () => {
    const name = await submitted(TWO_CALLS);
    const dead = thenAt((_call, _onText, stop) => untilStopped(stop));
    const zombie = come(name, dead);
    while (dead.calls.length < 2) await job(name).glance();
    await evictDurableObject(objectOf(name));
    expect((await view(name)).status).toBe("active");
    await ringAfter(name, 60_000);
    const alive = new Echo();
    await come(name, alive.model);
    expect(alive.asked).toEqual(["Mend a draft"]);
    const { status, attempts_made, result } = await view(name);
    expect([status, attempts_made, result?.content]).toEqual(["completed", 3, "<Mend a draft>"]);
    expect(await zombie).toEqual({ type: "ack" });
    expect(await stepsOf(name)).toMatchObject([{ attempts: 1 }, { attempts: 2 }]);
  });

  it("that is killed between two steps goes on with the second by its alarm", async () => {
    const name = await submitted(TWO_CALLS);
    const echo = new Echo();
    expect(await runAttempt(portsOf(name, echo.model))).toMatchObject({
      type: "retry",
      goOn: true,
    });
    await evictDurableObject(objectOf(name));
    const between = await view(name);
    expect(between).toMatchObject({ status: "active", progress: 50, step: "final" });
    const before = queues.to(name).length;
    await ringAfter(name, 30_000);
    expect(queues.to(name)).toHaveLength(before + 1);
    await come(name, echo.model);
    expect(echo.asked).toEqual(["Write", "Mend <Write>"]);
    expect((await view(name)).status).toBe("completed");
  });

  it("runs each step once, however many messages come for it", async () => {
    const name = await submitted(TWO_CALLS);
    const echo = new Echo();
    await Promise.all([1, 2, 3].map(() => come(name, echo.model)));
    await come(name, echo.model);
    expect(echo.asked).toEqual(["Write", "Mend <Write>"]);
    expect((await view(name)).status).toBe("completed");
  });

  it("leaves a step to the message once its consumer has lived for minutes", async () => {
    const name = await submitted(TWO_CALLS, { leaseMs: 600_000 });
    const echo = new Echo();
    const slow: CallModel = (...call) => {
      passTime(240_000);
      return echo.model(...call);
    };
    const settlement = await come(name, slow);
    expect(settlement).toMatchObject({ type: "retry", delaySeconds: 0 });
    expect(echo.asked).toEqual(["Write"]);
    await come(name, echo.model);
    expect((await view(name)).status).toBe("completed");
  });

  it("needs a permit for what it asks of a URL, as for what it asks of a model, and none for a template", async () => {
    const name = await submitted({
      steps: [
        { name: "note", type: "template", template: "x" },
        { name: "page", type: "http", url: "https://facts.example.com/" },
        { name: "final", type: "llm", prompt: "{{steps.page.output}}" },
      ],
    });
    const told: string[] = [];
    const permits: Permits = {
      ask: ({ provider, tokens }) => {
        told.push(`ask ${provider}`);
        return Promise.resolve({ id: null, tokens, single: false, provider, line: "normal" });
      },
      giveBack: ({ provider }) => Promise.resolve(void told.push(`back ${provider}`)),
      settle: ({ provider }) => Promise.resolve(void told.push(`settled ${provider}`)),
    };
    await come(name, new Echo().model, { permits, needs: null, http: answering("Rayleigh") });
    expect((await view(name)).status).toBe("completed");
    expect(told).toEqual(["ask http", "settled http", "ask openai", "settled openai"]);
  });

  it("gives a permit back that its next step has no use for", async () => {
    const name = await submitted({
      steps: [
        { name: "note", type: "template", template: "x" },
        { name: "final", type: "llm", prompt: "{{steps.note.output}}" },
      ],
    });
    const told: string[] = [];
    const permits: Permits = {
      ask: ({ provider, tokens }) =>
        Promise.resolve({ id: null, tokens, single: false, provider, line: "normal" }),
      giveBack: ({ tokens }) => Promise.resolve(void told.push(`back ${tokens}`)),
      settle: ({ tokens }) => Promise.resolve(void told.push(`settled ${tokens}`)),
    };
    // As the message said of an earlier time.
    const needs = { provider: "openai", tenant: "acme", tokens: 7, since: 0 };
    await come(name, new Echo().model, { permits, needs });
    expect((await view(name)).status).toBe("completed");
    expect(told[0]).toBe("back 7");
    expect(told.slice(1)).toEqual([expect.stringMatching(/^settled \d{4}$/)]);
  });

  it("has each step's own limits: of time, and of attempts", async () => {
    const name = await submitted(TWO_CALLS);
    expect(await job(name).lease("one", "openai", true)).toMatchObject({ timeoutMs: 5_000 });
    await ringAfter(name, 60_000);
    await come(name, beingCut);
    // Two attempts at the first step: a dead consumer's, and one that was cut.
    expect(await view(name)).toMatchObject({ status: "active", attempts_made: 2 });
    await job(name).giveUp();
    await job(name).deadLettered();
    expect(await view(name)).toMatchObject({
      status: "failed",
      error_code: "provider_unavailable",
    });
    expect(await stepsOf(name)).toMatchObject([
      { status: "failed", attempts: 2, error_code: "provider_unavailable" },
      { status: "skipped", attempts: 0 },
    ]);
  });

  it("waits to try a step again as a job of one call does", async () => {
    const name = await submitted(TWO_CALLS);
    expect(await come(name, thenAt(beingCut))).toMatchObject({ type: "retry" });
    const waiting = await view(name);
    expect(waiting).toMatchObject({ status: "queued", attempts_made: 2, progress: 50 });
    expect(waiting.retry_at).toBeDefined();
    passTime(Date.parse(waiting.retry_at ?? "") - Date.now());
    await come(name, new Echo().model);
    expect((await view(name)).result?.content).toBe("<Mend a draft>");
  });

  it("that is cancelled in a step stops its call, and keeps what the finished ones cost", async () => {
    const name = await submitted(TWO_CALLS);
    const model = thenAt(async (_call, onText, stop) => {
      onText("half a");
      await job(name).cancel("Cancelled by the client");
      return untilStopped(stop);
    });
    expect(await come(name, model)).toEqual({ type: "ack" });
    expect(await view(name)).toMatchObject({ status: "cancelled", cost_usd: COST });
    const [first, second] = await stepsOf(name);
    expect([first?.status, second?.status]).toEqual(["completed", "cancelled"]);
    expect(first?.output).toBe("a draft");
  });

  it("spends no more than its budget on all its steps together", async () => {
    // The first call costs COST; what is left pays for no prompt of the second.
    const name = await submitted({ ...TWO_CALLS, max_cost_usd: COST });
    const echo = new Echo();
    await come(name, echo.model);
    expect(echo.asked).toEqual(["Write"]);
    await job(name).deadLettered();
    expect(await view(name)).toMatchObject({
      status: "failed",
      error_code: "budget",
      cost_usd: COST,
      wasted_cost_usd: 0,
    });
  });

  it("fails for good where a step cannot be rendered, without calling anybody", async () => {
    const bad = "{{steps.draft.json.title}}";
    const name = await submitted({
      steps: [
        { name: "draft", type: "llm", prompt: "Write" },
        { name: "title", type: "llm", prompt: bad },
      ],
    });
    const echo = new Echo();
    await come(name, echo.model);
    expect(echo.asked).toEqual(["Write"]);
    await job(name).deadLettered();
    expect(await view(name)).toMatchObject({
      error: "The output of step 1 is not JSON",
      error_code: "provider_rejected",
    });
  });
});
