import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import type { JobObject } from "../../src/job-object.ts";
import { asFrames, Follower } from "./follower.ts";
import {
  ANSWER,
  holdClock,
  job,
  lease,
  leased,
  lines,
  logged,
  newName,
  objectOf,
  OUTAGE,
  partOf,
  passTime,
  queues,
  REPORT,
  REQUEST,
  specOf,
  stored,
  submitted,
  view,
  wakeWhenDue,
} from "./support.ts";

holdClock();

/** Makes the object's next call of that kind to its storage fail, once. */
function breakNext(name: string, operation: "put" | "list"): Promise<void> {
  return runInDurableObject(objectOf(name), (_job, { storage: { kv } }) => {
    const value = () => {
      Reflect.deleteProperty(kv, operation);
      throw new Error("disk I/O error");
    };
    Object.defineProperty(kv, operation, { value, configurable: true });
  });
}

/**
 * Calls the object from inside, and answers with the error it throws. The test runtime reports an error
 * that leaves an object as unhandled, whoever catches it.
 */
function errorOf(name: string, call: (object: JobObject) => unknown): Promise<string | null> {
  return runInDurableObject(objectOf(name), (object) => {
    try {
      call(object);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : "no error";
    }
  });
}

describe("a write that fails", () => {
  it.each([
    ["a lease", (object: JobObject) => object.lease("token")],
    ["a cancellation", (object: JobObject) => object.cancel("now")],
    ["giving up", (object: JobObject) => object.giveUp()],
    ["a deletion", (object: JobObject) => object.delete()],
  ])("F14: in %s leaves the job as it was, in storage and in memory", async (_what, command) => {
    const name = await submitted();
    const before = [await stored(name), await view(name), await lines(name)] as const;
    await breakNext(name, "put");
    expect(await errorOf(name, command)).toBe("disk I/O error");
    expect([await stored(name), await view(name), await lines(name)]).toEqual(before);
    expect(await errorOf(name, command)).toBeNull();
    expect((await stored(name)).rows).not.toEqual(before[0].rows);
  });

  it("F14: in a report can be made again, and its text is stored once (invariant 5)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    await breakNext(name, "put");
    expect(await errorOf(name, (object) => object.append(token, partOf(0, "One ")))).toBe(
      "disk I/O error",
    );
    await job(name).append(token, partOf(0, "One "));
    await breakNext(name, "put");
    const end = (object: JobObject) => object.complete(token, partOf(1, "two."), ANSWER, REPORT);
    expect(await errorOf(name, end)).toBe("disk I/O error");
    expect(await view(name, true)).toMatchObject({ status: "active", partial_output: "One " });
    expect(await errorOf(name, end)).toBeNull();
    expect((await view(name)).result?.content).toBe("One two.");
  });

  it("F14: in a failure's report does not use up an attempt twice (invariant 3)", async () => {
    const name = await submitted({ maxAttempts: 2 });
    const { token } = await leased(name);
    await breakNext(name, "put");
    expect(await errorOf(name, (object) => object.fail(token, OUTAGE, REPORT))).toBe(
      "disk I/O error",
    );
    expect(await job(name).fail(token, OUTAGE, REPORT)).toMatchObject({ type: "retry" });
    expect(await view(name)).toMatchObject({ status: "queued", attempts_made: 1 });
  });

  it("F14: in a submission accepts nothing: no row, no alarm, no message (invariant 6)", async () => {
    const name = newName();
    await breakNext(name, "put");
    expect(await errorOf(name, (object) => object.submit(specOf(), REQUEST))).toBe(
      "disk I/O error",
    );
    expect(await stored(name)).toMatchObject({ rows: [], alarm: null });
    expect(queues.to(name)).toEqual([]);
    expect(await job(name).submit(specOf(), REQUEST)).toMatchObject({ type: "accepted" });
  });

  it("F14: shows its events to nobody before they are stored (invariant 4)", async () => {
    const name = await submitted();
    const { token } = await leased(name);
    const follower = await Follower.of(name);
    await follower.first(3);
    await breakNext(name, "put");
    const lost = partOf(0, "Lost.");
    const end = (object: JobObject) => object.complete(token, lost, ANSWER, REPORT);
    expect(await errorOf(name, end)).toBe("disk I/O error");
    await job(name).complete(token, partOf(0, "Kept."), ANSWER, REPORT);
    expect(await follower.end()).toBe(1000);
    expect(follower.frames).toEqual(asFrames(await lines(name)));
    expect(follower.frames.join("")).not.toContain("Lost.");
  });
});

describe("an alarm whose work fails", () => {
  it("F15: is armed again soon, and does its work then (invariant 2)", async () => {
    const name = await submitted({ maxAttempts: 1 });
    await leased(name);
    passTime(60_000);
    await breakNext(name, "put");
    expect(await runDurableObjectAlarm(objectOf(name))).toBe(true);
    expect((await stored(name)).alarm).toBe(Date.now() + 5_000);
    expect(logged).toContain(
      JSON.stringify({ event: "alarm.failed", object: name, error: "Error" }),
    );
    await wakeWhenDue(name);
    expect((await lines(name)).at(-1)).toContain('"error_code":"stalled"');
    expect(queues.to(name).at(-1)).toBe("DEAD_LETTERS");
  });

  it("F15: is armed again however often it fails (invariant 2)", async () => {
    const name = await submitted();
    await leased(name);
    passTime(60_000);
    for (let failure = 0; failure < 10; failure++) {
      await breakNext(name, "put");
      await wakeWhenDue(name);
      expect((await stored(name)).alarm).toBe(Date.now() + 5_000);
    }
    await wakeWhenDue(name);
    expect(await lease(name)).toMatchObject({ type: "leased" });
  });

  it("F15: is armed again where even reading the job fails (invariant 2)", async () => {
    const name = await submitted();
    await leased(name);
    passTime(60_000);
    // What a new instance does first is read; it has nothing in memory yet.
    await evictDurableObject(objectOf(name));
    await breakNext(name, "list");
    await runDurableObjectAlarm(objectOf(name));
    expect((await stored(name)).alarm).toBe(Date.now() + 5_000);
    await wakeWhenDue(name);
    expect(await lease(name)).toMatchObject({ type: "leased" });
  });

  it("that comes early changes nothing and is armed for the right time", async () => {
    const name = await submitted();
    const before = await stored(name);
    await runDurableObjectAlarm(objectOf(name));
    expect(await stored(name)).toEqual(before);
  });
});
