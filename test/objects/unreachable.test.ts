import { abortAllDurableObjects } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { runAttempt } from "../../src/consumer/attempt.ts";
import type { JobRpc } from "../../src/job/job-rpc.ts";
import type { CallModel } from "../../src/provider/call.ts";
import { ANSWERED, beingCut, portsOf, saying, untilStopped } from "./scripted.ts";
import { events, holdQueues, hurried, job, logged, newName, submitted, view } from "./support.ts";

holdQueues();
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A job's stub with a fault in front of each call; `fault` may let it through. */
function faulty(name: string, fault: (method: string, call: () => unknown) => unknown) {
  return (): JobRpc =>
    new Proxy(job(name), {
      get:
        (stub, method) =>
        (...args: unknown[]) => {
          const call = () => Reflect.apply(Reflect.get(stub, method), stub, args);
          return Promise.resolve(fault(String(method), call));
        },
    });
}

describe("a job that cannot be reached", () => {
  it("at first is asked again until it answers", async () => {
    const name = await submitted();
    const failures = new Map<string, number>();
    const stubs = faulty(name, (method, call) => {
      const failed = failures.get(method) ?? 0;
      failures.set(method, failed + 1);
      if (failed < 2) throw new Error("reset");
      return call();
    });
    const ports = portsOf(name, saying("Because."), { job: stubs });
    expect(await hurried(runAttempt(ports))).toEqual({ type: "ack" });
    expect([...failures.values()].every((calls) => calls >= 3)).toBe(true);
    expect(await view(name)).toMatchObject({
      attempts_made: 1,
      result: { content: "Because." },
    });
  });

  it("ever settles the attempt all the same, without a call to the model", async () => {
    const name = newName();
    const stubs = faulty(name, () => Promise.reject(new Error("overloaded")));
    const model = vi.fn<CallModel>(saying("never"));
    const since = Date.now();
    const settlement = await hurried(runAttempt(portsOf(name, model, { job: stubs })));
    expect(settlement).toEqual({ type: "retry", delaySeconds: 10 });
    expect(Date.now() - since).toBeLessThan(10_000);
    expect(model).not.toHaveBeenCalled();
    expect(logged.at(-1)).toBe(
      JSON.stringify({ event: "job.unreachable", object: name, error: "Error" }),
    );
  });

  it("any more stops the model, and is left to its own alarm (invariant 2)", async () => {
    const name = await submitted();
    const stubs = faulty(name, (method, call) => {
      if (method !== "lease") throw new Error("overloaded");
      return call();
    });
    let stopped = false;
    const model: CallModel = async (_call, onText, stop) => {
      onText("Into the void.");
      const outcome = await untilStopped(stop);
      stopped = stop.aborted;
      return outcome;
    };
    const settlement = await hurried(runAttempt(portsOf(name, model, { job: stubs })));
    expect(settlement).toEqual({ type: "ack" });
    expect(stopped).toBe(true);
    vi.setSystemTime(Date.now() + 60_000);
    expect((await events(name)).at(-1)).toMatchObject({ error_code: "stalled" });
  });

  it("F3: to hear the end settles the attempt all the same, which then has stalled (invariant 2)", async () => {
    const name = await submitted();
    const stubs = faulty(name, (method, call) => {
      if (method === "complete") throw new Error("overloaded");
      return call();
    });
    const ports = portsOf(name, saying("Because."), { job: stubs });
    expect(await hurried(runAttempt(ports))).toEqual({ type: "ack" });
    vi.setSystemTime(Date.now() + 60_000);
    expect((await events(name)).at(-1)).toMatchObject({ error_code: "stalled" });
  });

  it("for half a minute has lost nothing of what was paid for when it is back", async () => {
    const name = await submitted();
    const back = Date.now() + 30_000;
    const stubs = faulty(name, (method, call) => {
      if (method === "complete" && Date.now() < back) throw new Error("overloaded");
      return call();
    });
    await hurried(runAttempt(portsOf(name, saying("Because."), { job: stubs })));
    expect((await view(name)).result?.content).toBe("Because.");
  });

  it("because its answers are lost on the way does everything once (invariants 3 and 5)", async () => {
    const name = await submitted();
    const lost = new Set<string>();
    const stubs = faulty(name, async (method, call) => {
      const answer = await call();
      if (lost.has(method)) return answer;
      lost.add(method);
      throw new Error("reset");
    });
    await hurried(runAttempt(portsOf(name, saying("Rayleigh ", "scattering."), { job: stubs })));
    expect([...lost]).toEqual(["lease", "append", "complete"]);
    expect(await view(name)).toMatchObject({
      attempts_made: 1,
      result: { content: "Rayleigh scattering." },
    });
    expect((await events(name)).filter(({ type }) => type === "completed")).toHaveLength(1);
  });

  it("because the answer to a failure is lost says again when to come back", async () => {
    const name = await submitted();
    let lost = false;
    const stubs = faulty(name, async (method, call) => {
      const answer = await call();
      if (method !== "fail" || lost) return answer;
      lost = true;
      throw new Error("reset");
    });
    const settlement = await hurried(runAttempt(portsOf(name, beingCut, { job: stubs })));
    expect(settlement).toMatchObject({ type: "retry" });
    expect((await view(name)).attempts_made).toBe(1);
  });

  it("F13: because a deploy resets it goes on where it was (invariant 4)", async () => {
    const name = await submitted();
    const words = ["Rayleigh ", "scattering ", "of ", "light."];
    const model: CallModel = async (_call, onText) => {
      for (const word of words) {
        onText(word);
        await abortAllDurableObjects();
      }
      return ANSWERED;
    };
    expect(await hurried(runAttempt(portsOf(name, model)))).toEqual({ type: "ack" });
    expect(await view(name)).toMatchObject({
      attempts_made: 1,
      result: { content: words.join("") },
    });
  });
});
