import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";

import { runAttempt } from "../../src/consumer/attempt.ts";
import { configOf } from "../../src/settings/config.ts";
import { classify } from "../../src/domain/failure.ts";
import type { CallModel } from "../../src/provider/call.ts";
import type { AttemptView } from "../../src/schema/job.ts";
import { Follower } from "./follower.ts";
import { ANSWERED, outcomeOf, portsOf, saying, untilStopped } from "./scripted.ts";
import {
  ANSWER,
  COST,
  events,
  holdQueues,
  job,
  newName,
  page,
  submitted,
  typesOf,
  view,
} from "./support.ts";

holdQueues();

describe("an attempt", () => {
  it("gives the model what the lease gives it, and the job what the model says", async () => {
    const name = await submitted();
    const model = vi.fn<CallModel>(saying("Rayleigh ", "scattering."));
    expect(await runAttempt(portsOf(name, model))).toEqual({ type: "ack" });
    expect(model.mock.calls[0]?.[0]).toMatchObject({
      route: { name: "gpt-4o", model: "gpt-4o", provider: "openai" },
      request: { prompt: "Why is the sky blue?" },
      timeoutMs: 90_000,
    });
    expect(await view(name)).toMatchObject({
      status: "completed",
      result: { ...ANSWER, content: "Rayleigh scattering." },
      // 9 tokens in at $2.50 and 90 out at $10 a million.
      cost_usd: 0.0009225,
    });
  });

  it("calls no model without a lease (invariant 3)", async () => {
    const name = await submitted();
    await job(name).cancel("before it began");
    const model = vi.fn<CallModel>(saying("never"));
    expect(await runAttempt(portsOf(name, model))).toEqual({ type: "ack" });
    expect(await runAttempt(portsOf(newName(), model))).toEqual({ type: "ack" });
    const early = await submitted({ runAt: Date.now() + 60_000 });
    expect(await runAttempt(portsOf(early, model))).toMatchObject({ type: "retry" });
    expect(model).not.toHaveBeenCalled();
  });

  it("shows a watcher its text while the model is still speaking", async () => {
    const name = await submitted();
    const follower = await Follower.of(name);
    const told: string[][] = [];
    const model: CallModel = async (_call, onText) => {
      onText("Rayleigh ");
      told.push(await follower.first(4));
      onText("scattering.");
      told.push(await follower.first(5));
      return ANSWERED;
    };
    await runAttempt(portsOf(name, model));
    expect(told[0]?.[3]).toContain('"delta":"Rayleigh "');
    expect(told[1]?.[4]).toContain('"delta":"scattering."');
  });

  it("sends half a character on when it has the other half", async () => {
    const name = await submitted();
    const follower = await Follower.of(name);
    const model: CallModel = async (_call, onText) => {
      onText("Sky \ud83d");
      await follower.first(4);
      onText("\ude00 blue \ud83d");
      onText("\ude00");
      return ANSWERED;
    };
    await runAttempt(portsOf(name, model));
    expect((await view(name)).result?.content).toBe("Sky \u{1f600} blue \u{1f600}");
    const deltas = (await events(name)).filter((event) => event.type === "delta");
    expect(deltas.every(({ delta }) => delta.isWellFormed())).toBe(true);
  });

  it("F26: stores an answer of a megabyte whole, split through no character (invariant 5)", async () => {
    const name = await submitted();
    const text = `x${"\u{1f600}".repeat(250_000)}`;
    await runAttempt(portsOf(name, saying(text, "end")));
    expect((await view(name)).result?.content).toBe(`${text}end`);
    const deltas = (await events(name)).filter((event) => event.type === "delta");
    expect(deltas.length).toBeGreaterThan(7);
    expect(deltas.every(({ delta }) => delta.isWellFormed())).toBe(true);
  });
});

describe("a cancellation while the model speaks", () => {
  it("stops the model within two seconds, with the pulse it has by default (invariant 1)", async () => {
    const name = await submitted();
    let cancelledAt = 0;
    let heardAfterMs = Infinity;
    const model: CallModel = async (_call, onText, stop) => {
      onText("Rayleigh ");
      await job(name).cancel("by the caller");
      cancelledAt = Date.now();
      const outcome = await untilStopped(stop);
      heardAfterMs = Date.now() - cancelledAt;
      return outcome;
    };
    expect(await runAttempt(portsOf(name, model))).toEqual({ type: "ack" });
    expect(heardAfterMs).toBeLessThan(2_000);
    expect((await view(name)).status).toBe("cancelled");
    expect(await typesOf(name)).not.toContain("completed");
  });

  it("is heard by a model that has fallen silent too", async () => {
    const name = await submitted();
    const config = configOf({ ...env, PULSE_MS: "20" });
    const model: CallModel = async (_call, _onText, stop) => {
      await job(name).cancel("by the caller");
      return untilStopped(stop);
    };
    expect(await runAttempt(portsOf(name, model, { config }))).toEqual({ type: "ack" });
    expect((await view(name)).attempts_made).toBe(1);
  });

  it("F37: that comes as the model ends leaves the job cancelled (invariant 1)", async () => {
    const name = await submitted();
    const model: CallModel = async (call, onText, stop) => {
      const outcome = await saying("Too late.")(call, onText, stop);
      await job(name).cancel("just before");
      return outcome;
    };
    expect(await runAttempt(portsOf(name, model))).toEqual({ type: "ack" });
    const { status, lastSeq, events: log } = await page(name, 0);
    expect(status).toBe("cancelled");
    expect(log.filter(({ json }) => json.includes('"cancelled"')).map(({ seq }) => seq)).toEqual([
      lastSeq,
    ]);
  });
});

describe("a consumer that is stopped", () => {
  it("tells what its call came to, if the provider has said (invariant 10)", async () => {
    const name = await submitted();
    const model: CallModel = async (_call, onText, stop) => {
      onText("Half an ans");
      await job(name).cancel("by the caller");
      return { ...(await untilStopped(stop)), usage: ANSWER.usage };
    };
    expect(await runAttempt(portsOf(name, model))).toEqual({ type: "ack" });
    expect(await view(name)).toMatchObject({ usage: ANSWER.usage, wasted_cost_usd: COST });
  });

  it("leaves the estimate as it is if the provider said nothing", async () => {
    const name = await submitted();
    const model: CallModel = async (_call, onText, stop) => {
      onText("Half an ans");
      await job(name).cancel("by the caller");
      return untilStopped(stop);
    };
    await runAttempt(portsOf(name, model));
    expect((await view(name)).usage?.estimated).toBe(true);
  });

  it("tells that there was no call if there was none", async () => {
    const name = await submitted();
    const model: CallModel = async (_call, _onText, stop) => {
      await job(name).cancel("by the caller");
      await untilStopped(stop);
      return outcomeOf({ kind: "unreachable" });
    };
    await runAttempt(portsOf(name, model));
    expect(await view(name)).toMatchObject({ status: "cancelled", wasted_cost_usd: 0 });
  });

  it("that only failed reports what it took, and what it did not", async () => {
    for (const [error, wasted] of [
      [{ kind: "cut" }, 0.00003],
      [{ kind: "status", status: 400, retryAfterMs: null }, 0],
    ] as const) {
      const name = await submitted();
      await runAttempt(portsOf(name, () => Promise.resolve(outcomeOf(error))));
      expect((await attempt(name)).error_code).toBe(classify(error).code);
      expect((await view(name)).wasted_cost_usd).toBeCloseTo(wasted, 12);
    }
  });
});

/** The first attempt, as the job's owner sees it. */
async function attempt(name: string): Promise<AttemptView> {
  const found = await job(name).attempts();
  const first = found.type === "found" ? found.value[0] : undefined;
  if (first === undefined) throw new Error("no attempt was made");
  return first;
}
