import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ErrorCode, JobView } from "../../src/schema/job.ts";
import { expectWholeLog, textOf } from "../support/api.ts";
import {
  answerOf,
  freshPrompt,
  startProcessJourney,
  type ProcessJourney,
} from "../support/journey.ts";
import type { Behaviour, Call } from "../support/provider-server.ts";

let journey: ProcessJourney;
beforeAll(async () => {
  journey = await startProcessJourney({
    HEADERS_TIMEOUT_MS: "1000",
    IDLE_TIMEOUT_MS: "1000",
    RETRY_MAX_MS: "3000",
  });
});
afterAll(() => journey.close());

type Job = { prompt: string } & Record<string, unknown>;

/** Runs a job unwatched to its end, and checks what holds for every job, whatever it met. */
async function run(job: Job): Promise<{ view: JobView; calls: Call[] }> {
  const { job_id } = await journey.api.submit(job);
  const view = await journey.api.ended(job_id);
  const calls = journey.provider.callsFor(job.prompt);
  const log = await journey.api.log(job_id);
  expectWholeLog(log);
  expect(log.at(-1)?.type).toBe(view.status);
  expect(log.filter(({ type }) => type === "started")).toHaveLength(calls.length);
  const models = 1 + ((job["fallback_models"] as string[] | undefined)?.length ?? 0);
  expect(calls.length).toBeLessThanOrEqual(Number(job["max_attempts"] ?? 3) * models);
  if (view.status === "completed") {
    const { attempts_made, result } = view;
    expect(textOf(log, attempts_made)).toBe(result?.content);
  }
  return { view, calls };
}

/** A rate limit holds up everybody at its provider, so such a job has one of its own. */
function elsewhere(fault: string): { model?: string } {
  return fault.includes("429") ? { model: "openrouter/limited" } : {};
}

describe.concurrent("a fault that may pass (invariants 3 and 5)", () => {
  it.each([
    ["F18: an error 500", "[status=500 x1]"],
    ["F18: an error 503", "[status=503 x1]"],
    ["F18: an error 529", "[status=529 x1]"],
    ["F18: an error 408", "[status=408 x1]"],
    ["F18: an error 409", "[status=409 x1]"],
    ["F17: a rate limit", "[status=429 x1]"],
    ["F17: a rate limit with nonsense for Retry-After", "[status=429 retry-after=soon x1]"],
    ["F20: no answer at all", "[hang x1]"],
    ["F21: silence in mid-answer", "[silent=3 x1]"],
    ["F22: a connection closed in mid-answer", "[cut=3 every=30 x1]"],
    ["F22: a connection reset in mid-answer", "[cut=3 every=30 reset x1]"],
    ["F22: a connection closed before the first token", "[cut=0 x1]"],
    ["F23: a malformed answer", "[malformed x1]"],
    ["F24: an empty answer", "[empty x1]"],
    ["F24: an answer without choices", "[noChoices x1]"],
    ["two faults of different kinds", "[cut=2 x1][status=502 x1]"],
  ])("%s is followed by another attempt, whose text alone is the result", async (_, faults) => {
    const prompt = freshPrompt(`${faults}[tokens=7]`);
    const { view, calls } = await run({ prompt, ...elsewhere(faults) });
    const expected = faults.split("x1").length;
    expect(calls).toHaveLength(expected);
    expect(view).toMatchObject({ status: "completed", attempts_made: expected });
    expect(view.result?.content).toBe(answerOf(calls.at(-1) ?? { id: 0 }, 7));
  });
});

describe.concurrent("a fault that stays", () => {
  const faults: [string, string, ErrorCode, number][] = [
    ["F18: an error", "[status=500]", "provider_unavailable", 3],
    ["F18: an error, with one attempt,", "[status=500]", "provider_unavailable", 1],
    ["F18: an error, with five attempts,", "[status=500]", "provider_unavailable", 5],
    ["F17: a rate limit", "[status=429]", "rate_limited", 3],
    ["F20: a call without an answer", "[hang]", "timeout", 2],
    ["F21: an answer that stops", "[silent=2]", "timeout", 2],
    ["F22: an answer cut off", "[cut=2]", "provider_unavailable", 2],
    ["F23: an answer without sense", "[malformed]", "provider_unavailable", 2],
    ["F24: an empty answer", "[empty]", "empty_response", 2],
    ["F24: an answer without choices", "[noChoices]", "provider_unavailable", 2],
  ];

  it.each(faults)(
    "%s ends in failure after max_attempts calls: %s (invariants 2 and 3)",
    async (_, fault, code, most) => {
      const job = { prompt: freshPrompt(fault), max_attempts: most, ...elsewhere(fault) };
      const { view, calls } = await run(job);
      expect(calls).toHaveLength(most);
      expect(view).toMatchObject({ status: "failed", error_code: code, attempts_made: most });
      expect(view.error).not.toBe("");
      expect(view.failed_at).toBeDefined();
      expect(view).not.toHaveProperty("result");
      const [failed] = await journey.api.log(view.job_id, view.last_seq - 1);
      expect(failed).toMatchObject({ type: "failed", attempts: most, error_code: code });
      expect(failed).toHaveProperty("error", view.error);
    },
  );

  it.each([
    ["[status=400]", "provider_rejected"],
    ["[status=401]", "provider_rejected"],
    ["[status=403]", "provider_rejected"],
    ["[status=404]", "provider_rejected"],
    ["[status=413]", "provider_rejected"],
    ["[status=422]", "provider_rejected"],
    ["[contentFilter]", "content_filter"],
  ])("F19, F25: %s is never tried again", async (fault, code) => {
    const { view, calls } = await run({ prompt: freshPrompt(fault), max_attempts: 5 });
    expect(calls).toHaveLength(1);
    expect(view).toMatchObject({ status: "failed", error_code: code, attempts_made: 1 });
  });

  it("an answer that takes longer than timeout_ms, though it never pauses", async () => {
    const prompt = freshPrompt("[tokens=100 every=100]");
    const { view, calls } = await run({ prompt, timeout_ms: 1_000, max_attempts: 1 });
    expect(view).toMatchObject({ status: "failed", error_code: "timeout" });
    const { closedEarlyAt, startedAt } = await journey.provider.waitForCall(
      (call) => call === calls[0] && call.closedEarlyAt !== null,
    );
    expect((closedEarlyAt ?? Infinity) - startedAt).toBeLessThan(3_000);
  });
});

describe.concurrent("what is no fault", () => {
  it("F23: characters, line ends and frames torn apart on the way", async () => {
    const { view, calls } = await run({ prompt: freshPrompt("[split]") });
    expect(calls).toHaveLength(1);
    expect(view.status).toBe("completed");
    expect(view.result?.content).toMatch(/^(a\d+\.\d+ .*😀.*)+$/u);
    expect(view.result?.content).not.toContain("\u{fffd}");
  });

  it("F24: a refusal: it is what the model has to say", async () => {
    const { view, calls } = await run({ prompt: freshPrompt("[refusal]") });
    expect(calls).toHaveLength(1);
    expect(view.result?.content).toMatch(/cannot help/);
  });

  it("F26: an answer of 4 MB: it is kept and polled back whole", async () => {
    const { view, calls } = await run({ prompt: freshPrompt("[huge=4000000]") });
    expect(calls).toHaveLength(1);
    expect(view.result?.content.length).toBeGreaterThanOrEqual(4_000_000);
    expect(view.result?.content).toMatch(new RegExp(`^(a${calls[0]?.id}\\.\\d+ x*)+$`));
  });
});

/** Milliseconds from the first call to the second. */
function between([first, second]: Call[]): number {
  return (second?.startedAt ?? 0) - (first?.startedAt ?? 0);
}

describe.concurrent("Retry-After", () => {
  it.each([
    ["2", 2_000, 4_000, "gpt-4o"],
    ["3600", 3_000, 5_000, "groq/llama-3.1-8b-instant"],
    [
      () => new Date(Date.now() + 3_000).toUTCString(),
      2_000,
      5_000,
      "workers-ai/@cf/openai/gpt-oss-20b",
    ],
    ["-1", 0, 2_000, "bedrock/openai.gpt-oss-20b-1:0"],
  ])(
    "F17: of %s is a floor, up to our own longest wait",
    async (retryAfter, least, most, model) => {
      const prompt = freshPrompt();
      const told = typeof retryAfter === "string" ? retryAfter : retryAfter();
      journey.script(prompt, ({ n }) =>
        n === 0 ? { kind: "status", status: 429, retryAfter: told } : { kind: "answer" },
      );
      const { view, calls } = await run({ prompt, model });
      expect(view.status).toBe("completed");
      expect(between(calls)).toBeGreaterThanOrEqual(least);
      expect(between(calls)).toBeLessThan(most);
    },
  );
});

/** Per model, what its calls meet. */
function scriptModels(prompt: string, behaviours: Record<string, Behaviour>): void {
  journey.script(prompt, ({ model }) => behaviours[model] ?? { kind: "answer" });
}

describe.concurrent("fallback models", () => {
  const down: Behaviour = { kind: "status", status: 500 };
  const refused: Behaviour = { kind: "status", status: 401 };
  const fallback_models = ["gpt-4o-mini", "gpt-4.1"];

  it("are tried in order, each as often as max_attempts says", async () => {
    const prompt = freshPrompt();
    scriptModels(prompt, { "gpt-4o": down, "gpt-4o-mini": down });
    const { view, calls } = await run({ prompt, fallback_models, max_attempts: 2 });
    const called = calls.map(({ model }) => model);
    expect(called).toEqual(["gpt-4o", "gpt-4o", "gpt-4o-mini", "gpt-4o-mini", "gpt-4.1"]);
    expect(view).toMatchObject({ status: "completed", model: "gpt-4.1", attempts_made: 5 });
    expect(view.result?.content).toBe(answerOf(calls[4] ?? { id: 0 }));
  });

  it("are tried at once where the model before is refused to us", async () => {
    const prompt = freshPrompt();
    scriptModels(prompt, { "gpt-4o": refused, "gpt-4o-mini": refused, "gpt-4.1": refused });
    const { view, calls } = await run({ prompt, fallback_models });
    expect(calls.map(({ model }) => model)).toEqual(["gpt-4o", "gpt-4o-mini", "gpt-4.1"]);
    expect(view).toMatchObject({ status: "failed", error_code: "provider_rejected" });
  });

  it("are tried at once where our account is used up, which no waiting mends", async () => {
    const prompt = freshPrompt();
    const body = { error: { message: "x", type: "x", code: "insufficient_quota" } };
    scriptModels(prompt, { "gpt-4o": { kind: "status", status: 429, body } });
    const { view, calls } = await run({ prompt, fallback_models });
    expect(calls.map(({ model }) => model)).toEqual(["gpt-4o", "gpt-4o-mini"]);
    expect(view).toMatchObject({ status: "completed", model: "gpt-4o-mini" });
  });

  it("are not tried where no model could answer", async () => {
    const prompt = freshPrompt();
    scriptModels(prompt, { "gpt-4o": { kind: "status", status: 400 } });
    const { view, calls } = await run({ prompt, fallback_models });
    expect(calls).toHaveLength(1);
    expect(view).toMatchObject({ status: "failed", model: "gpt-4o" });
  });
});

describe.concurrent("the provider's own words (invariant 9)", () => {
  const CANARY = "sk-canary-org-4711";

  it.each([
    [500, {}],
    [400, {}],
    [400, { code: "content_filter" }],
    [429, { type: "insufficient_quota" }],
    [401, {}],
  ])("in an error %i %j are in no answer, event or log line", async (status, extra) => {
    const prompt = freshPrompt();
    const body = { error: { message: `${CANARY} is over quota`, param: CANARY, ...extra } };
    journey.script(prompt, () => ({ kind: "status", status, body }));
    const { view } = await run({ prompt, max_attempts: 1 });
    const shown = [view, await journey.api.log(view.job_id), journey.product.output];
    expect(view.status).toBe("failed");
    expect(JSON.stringify(shown)).not.toContain(CANARY);
  });
});
