import { describe, expect, it } from "vitest";

import { runAttempt } from "../../src/consumer/attempt.ts";
import type { CallModel } from "../../src/provider/call.ts";
import { ANSWERED, portsOf, saying } from "./scripted.ts";
import {
  ANSWER,
  completed,
  events,
  holdClock,
  job,
  leased,
  partOf,
  passTime,
  REPORT,
  submitted,
  view,
  wakeWhenDue,
} from "./support.ts";

holdClock();

const MINUTES = 60_000;

describe("a consumer's clock", () => {
  it.each([
    ["ten minutes fast", 10 * MINUTES],
    ["ten minutes slow", -10 * MINUTES],
  ])(
    "F36: that is %s decides nothing: leases go by the object's (invariants 3 and 5)",
    async (_, skew) => {
      const name = await submitted();
      const ports = portsOf(name, saying("Rayleigh ", "scattering."), {
        now: () => Date.now() + skew,
      });
      expect(await runAttempt(ports)).toEqual({ type: "ack" });
      expect(await view(name)).toMatchObject({
        status: "completed",
        attempts_made: 1,
        result: { content: "Rayleigh scattering." },
      });
      const [first] = await events(name);
      expect((await events(name)).every(({ at }) => at === first?.at)).toBe(true);
    },
  );
});

describe("an object's clock that is put back", () => {
  it("F36: takes no lease from its holder and no place from an event (invariants 3 and 4)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).append(token, partOf(0, "Rayleigh "));
    passTime(-10 * MINUTES);
    expect(await job(name).append(token, partOf(1, "scattering."))).toMatchObject({ go: true });
    await job(name).complete(token, partOf(2, ""), ANSWER, REPORT);
    const log = await events(name);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, at) => at + 1));
    expect(log.at(-1)).toMatchObject({ type: "completed" });
    expect((await view(name)).result?.content).toBe("Rayleigh scattering.");
  });

  it("F36: makes a dead consumer's attempt end later, but end (invariant 2)", async () => {
    const name = await submitted({ maxAttempts: 1 });
    await leased(name);
    passTime(-10 * MINUTES);
    for (let alarms = 0; (await view(name)).status !== "failed" && alarms < 10; alarms++) {
      await wakeWhenDue(name);
    }
    expect(await view(name)).toMatchObject({ status: "failed", error_code: "stalled" });
  });
});

describe("a consumer that goes on after its lease ran out", () => {
  it("F16: changes nothing, and stops its call as soon as it hears of it (invariants 3 and 5)", async () => {
    const name = await submitted();
    const stopped = Promise.withResolvers<void>();
    const model: CallModel = async (_call, onText, stop) => {
      stop.addEventListener("abort", () => stopped.resolve());
      onText("Brains. ");
      await expect.poll(async () => (await view(name, true)).partial_output).toBe("Brains. ");
      // It was suspended for so long that its job went on without it.
      passTime(MINUTES);
      await completed(name, "Rayleigh ", "scattering.");
      onText("More brains.");
      await stopped.promise;
      return ANSWERED;
    };
    expect(await runAttempt(portsOf(name, model))).toEqual({ type: "ack" });
    expect(await view(name)).toMatchObject({
      status: "completed",
      attempts_made: 2,
      result: { content: "Rayleigh scattering." },
    });
    expect((await events(name)).at(-1)?.type).toBe("completed");
  });
});
