import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";

import { runAttempt } from "../../src/consumer/attempt.ts";
import { configOf } from "../../src/settings/config.ts";
import { OVER_BUDGET } from "../../src/domain/failure.ts";
import type { CallModel } from "../../src/provider/call.ts";
import { outcomeOf, portsOf } from "./scripted.ts";
import {
  COST,
  deadLetter,
  events,
  holdClock,
  job,
  lease,
  leased,
  OUTAGE,
  passTime,
  REPORT,
  submitted,
  textsOf,
  typesOf,
  view,
} from "./support.ts";

holdClock();

const WEBHOOK = {
  url: "https://receiver.example.com/hooks",
  gate: "gate-of-the-receiver",
  events: ["job.completed" as const, "job.failed" as const, "job.cancelled" as const],
  headers: null,
  submittedTo: "https://afterword.example.com",
  maxBodyBytes: 20_480,
};

/** Says this and has then reached what is paid for. */
function reachingTheCap(text: string): CallModel {
  return (_call, onText) => {
    onText(text);
    const { usage } = REPORT;
    return Promise.resolve({ ...outcomeOf({ kind: "budget" }), usage, begun: true });
  };
}

describe("an attempt that reaches the job's own budget", () => {
  it("is told how long an answer is paid for, and ends the job with its text to the last word", async () => {
    const name = await submitted({ maxCostUsd: 0.001, webhook: WEBHOOK });
    const model = vi.fn<CallModel>(reachingTheCap("Half an answer"));
    // Nobody watches, so the text is still with the consumer when the call ends.
    const ports = portsOf(name, model, { config: configOf(env) });
    expect(await runAttempt(ports)).toEqual({ type: "ack" });
    // $0.001, less 12 tokens of a prompt at $2.50 a million, at $10 a million.
    expect(model.mock.calls[0]?.[0]).toMatchObject({ maxTokens: 97 });
    await deadLetter(name);
    expect(await view(name, true)).toMatchObject({
      status: "failed",
      error_code: "budget",
      attempts_made: 1,
      partial_output: "Half an answer",
      wasted_cost_usd: COST,
    });
    expect(await view(name)).not.toHaveProperty("partial_output");
    expect(textsOf(await events(name))).toBe("Half an answer");
    const owed = await job(name).nextDelivery("token", 10_000);
    const { data } = JSON.parse(owed.type === "owed" ? owed.body : "{}") as { data: object };
    expect(data).toMatchObject({ error_code: "budget", partial_output: "Half an answer" });
  });
});

describe("a job whose budget its failed calls have spent", () => {
  it("makes no other call, and fails with the budget", async () => {
    const name = await submitted({ maxCostUsd: COST });
    const { token } = await leased(name);
    await job(name).fail(token, OUTAGE, REPORT);
    passTime(10_000);
    expect(await lease(name)).toEqual({ type: "ignore" });
    await deadLetter(name);
    expect(await view(name, true)).toMatchObject({
      status: "failed",
      error: OVER_BUDGET.message,
      error_code: "budget",
      attempts_made: 1,
    });
    expect((await typesOf(name)).slice(-2)).toEqual(["attempt_failed", "failed"]);
  });
});
