import { describe, expect, it } from "vitest";

import { classify } from "../../src/domain/failure.ts";
import type { JobRpc } from "../../src/job/job-rpc.ts";
import {
  ANSWER,
  CLAUDE,
  completed,
  DAY_MS,
  deadLetter,
  events,
  GPT,
  holdClock,
  job,
  lease,
  leased,
  OUTAGE,
  partOf,
  passTime,
  queues,
  REPORT,
  REQUEST,
  specOf,
  stored,
  submitted,
  typesOf,
  view,
  wakeWhenDue,
} from "./support.ts";

holdClock();

const REJECTED = classify({
  kind: "status",
  status: 400,
  retryAfterMs: null,
});
const UNAUTHORIZED = classify({
  kind: "status",
  status: 401,
  retryAfterMs: null,
});

/** Fails every attempt the job has, waiting out each back-off. */
async function useUp(name: string): Promise<void> {
  while ((await view(name)).status === "queued") {
    const { token } = await leased(name);
    const settlement = await job(name).fail(token, OUTAGE, REPORT);
    passTime(settlement.type === "retry" ? settlement.delaySeconds * 1_000 : 0);
  }
}

describe("a failed attempt", () => {
  it("sends its message back for as long as the back-off lasts", async () => {
    const name = await submitted();
    const delays: number[] = [];
    for (const _attempt of [1, 2]) {
      const { token } = await leased(name);
      const settlement = await job(name).fail(token, OUTAGE, REPORT);
      if (settlement.type !== "retry") throw new Error("it was not sent back");
      delays.push(settlement.delaySeconds);
      expect(await lease(name)).toEqual({
        type: "wait",
        delaySeconds: settlement.delaySeconds,
      });
      passTime(settlement.delaySeconds * 1_000);
    }
    expect(delays[0]).toBeOneOf([4, 5, 6]);
    expect(delays[1]).toBeOneOf([8, 9, 10, 11, 12]);
  });

  it("F8: is rung for by the alarm if the message that was to come back is lost (invariant 2)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).fail(token, OUTAGE, REPORT);
    for (let alarms = 0; queues.to(name).length < 2 && alarms < 5; alarms++) {
      await wakeWhenDue(name);
    }
    expect(queues.to(name)).toEqual(["LANE_NORMAL", "LANE_NORMAL"]);
    expect(await lease(name)).toMatchObject({ type: "leased" });
  });

  it("of which no more can come goes to the dead letters, whose word is the last (invariant 1)", async () => {
    const name = await submitted({ maxAttempts: 3 });
    await useUp(name);
    expect(queues.to(name)).toEqual(["LANE_NORMAL", "DEAD_LETTERS"]);
    expect(await view(name)).toMatchObject({ status: "active", attempts_made: 3 });
    expect(await lease(name)).toEqual({ type: "ignore" });
    await deadLetter(name);
    await deadLetter(name);
    expect(await view(name)).toMatchObject({
      status: "failed",
      error: "The provider could not be reached",
      error_code: "provider_unavailable",
      attempts_made: 3,
    });
    const types = await typesOf(name);
    expect(types.filter((type) => type === "started")).toHaveLength(3);
    expect(types.filter((type) => type === "attempt_failed")).toHaveLength(3);
    expect(types.filter((type) => type === "failed")).toHaveLength(1);
    expect(types.at(-1)).toBe("failed");
  });

  it("F4: fails the job by its own alarm if the dead letter is lost (invariant 2)", async () => {
    const name = await submitted({ maxAttempts: 1 });
    queues.broken = true;
    await useUp(name);
    const givenUpAt = Date.now();
    while ((await view(name)).status === "active") await wakeWhenDue(name);
    expect(await view(name)).toMatchObject({ status: "failed", attempts_made: 1 });
    expect(Date.now() - givenUpAt).toBeLessThanOrEqual(15_000);
  });

  it("that stalls every time ends the job too (invariants 2 and 3)", async () => {
    const name = await submitted({ maxAttempts: 2 });
    for (const _attempt of [1, 2]) {
      await leased(name);
      passTime(60_000);
    }
    expect(await lease(name)).toEqual({ type: "ignore" });
    passTime(15_000);
    expect(await view(name)).toMatchObject({ status: "failed", error_code: "stalled" });
  });

  it("whose retry nobody comes for ends the job when its whole time is over (invariant 2)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await job(name).fail(token, OUTAGE, REPORT);
    const failedAt = Date.now();
    for (let alarms = 0; (await view(name)).status !== "failed" && alarms < 200; alarms++) {
      await wakeWhenDue(name);
    }
    expect(await view(name)).toMatchObject({
      status: "failed",
      error_code: "provider_unavailable",
      attempts_made: 1,
    });
    expect(Date.now() - failedAt).toBeLessThanOrEqual(2 * DAY_MS + 15_000);
  });

  it("which no other attempt can mend gives up at once", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    expect(await job(name).fail(token, REJECTED, REPORT)).toEqual({ type: "ack" });
    expect((await events(name)).at(-1)).toMatchObject({ type: "attempt_failed", retry_at: null });
    await deadLetter(name);
    expect(await view(name)).toMatchObject({ status: "failed", error_code: "provider_rejected" });
  });

  it("goes on to the next model where this one is not to be had, and fails with the last", async () => {
    const routes = [GPT, CLAUDE];
    const name = await submitted({ routes });
    const first = await leased(name);
    expect(first.route).toEqual(routes[0]);
    const settlement = await job(name).fail(first.token, UNAUTHORIZED, REPORT);
    expect(settlement).toEqual({ type: "retry", delaySeconds: 0 });
    const second = await leased(name);
    expect(second.route).toEqual(routes[1]);
    await job(name).fail(second.token, UNAUTHORIZED, REPORT);
    expect(queues.to(name).at(-1)).toBe("DEAD_LETTERS");
  });
});

describe("a job nobody starts", () => {
  it("F40: expires when its time to start is over (invariant 2)", async () => {
    const name = await submitted({ startBy: Date.now() + 100_000 });
    for (let alarms = 0; (await view(name)).status !== "failed" && alarms < 10; alarms++) {
      await wakeWhenDue(name);
    }
    expect(await view(name)).toMatchObject({
      status: "failed",
      error_code: "expired",
      attempts_made: 0,
    });
  });

  it("F11: fails when its queue has given up on its message", async () => {
    const name = await submitted();
    await deadLetter(name);
    expect(await view(name)).toMatchObject({ status: "failed", error_code: "internal" });
  });
});

const ENDS: [string, (name: string) => Promise<unknown>][] = [
  ["completed", (name) => completed(name, "Because.")],
  ["cancelled", (name) => job(name).cancel("by the caller")],
  ["failed", (name) => deadLetter(name)],
];

const EVERYTHING: ((stub: JobRpc, token: string) => Promise<unknown>)[] = [
  (stub) => stub.submit(specOf(), REQUEST),
  (stub) => stub.lease(crypto.randomUUID()),
  (stub, token) => stub.lease(token),
  (stub, token) => stub.append(token, partOf(0, "more")),
  (stub, token) => stub.complete(token, partOf(0, "more"), ANSWER, REPORT),
  (stub, token) => stub.fail(token, OUTAGE, REPORT),
  (stub) => stub.giveUp(),
  (stub) => stub.deadLettered(),
  (stub, token) => stub.account(token, REPORT),
  (stub) => stub.source(),
  (stub) => stub.attempts(),
  (stub) => stub.cancel("again"),
  (stub) => stub.read(true),
  (stub) => stub.log(0),
];

describe.each(ENDS)("a %s job", (status, end) => {
  it("is final: no command, in any order, changes anything of it (invariant 1)", async () => {
    const name = await submitted();
    await end(name);
    const token = "00000000-0000-4000-8000-000000000000";
    const before = await stored(name);
    const rung = queues.to(name);
    for (const first of EVERYTHING) {
      for (const second of EVERYTHING) {
        await first(job(name), token);
        await second(job(name), token);
      }
    }
    passTime(DAY_MS / 2);
    expect(await stored(name)).toEqual(before);
    expect(await view(name)).toMatchObject({ status });
    expect(queues.to(name)).toEqual(rung);
  });
});
