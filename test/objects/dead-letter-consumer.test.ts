import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";

import { writeDeadLetters, type Notice } from "../../src/consumer/dead-letters.ts";
import { classify } from "../../src/domain/failure.ts";
import type { JobSpec } from "../../src/domain/job.ts";
import type { JobRpc } from "../../src/job/job-rpc.ts";
import { ledgers } from "./ledgers.ts";
import {
  CLAUDE,
  events,
  GPT,
  holdClock,
  job,
  leased,
  logged,
  newName,
  OUTAGE,
  partOf,
  passTime,
  queues,
  REPORT,
  specOf,
  stored,
  submitted,
  view,
  wakeWhenDue,
} from "./support.ts";

holdClock();
afterEach(() => {
  ledgers.onWrite = () => Promise.resolve();
});

const REFUSED = classify({ kind: "not_configured" });
const CANARY = "canary-of-a-prompt";

/** A job that has given up, after one attempt. */
async function givenUp(overrides: Partial<JobSpec> = {}): Promise<string> {
  const name = await submitted({ maxAttempts: 1, ...overrides });
  const { token } = await leased(name);
  await job(name).fail(token, OUTAGE, REPORT);
  return name;
}

/** Delivers the jobs' messages to the consumer. What became of each, in their order. */
async function deliver(names: string[], jobs: Env["JOBS"] = env.JOBS): Promise<string[]> {
  const settled = names.map(() => "left");
  const notices = names.map((name, at): Notice => {
    const settle = (how: string) => () => void (settled[at] = how);
    return { job: name, message: { ack: settle("acked"), retry: settle("retried") } };
  });
  await writeDeadLetters(notices, { ...env, JOBS: jobs });
  return settled;
}

/** The jobs' namespace with one call of one job failing, as it does when an object is reset. */
function losing(lost: string, method: keyof JobRpc): Env["JOBS"] {
  const getByName = (name: string) =>
    new Proxy(job(name), {
      get: (stub, called) =>
        name === lost && called === method
          ? () => Promise.reject(new Error("reset"))
          : (...args: unknown[]): unknown => Reflect.apply(Reflect.get(stub, called), stub, args),
    });
  return { getByName } as unknown as Env["JOBS"];
}

async function letterOf(name: string) {
  const given = await job(name).giveUp();
  return given.type === "letter" ? given.letter : null;
}

describe("a dead letter", () => {
  it("is written before its job is seen to have failed", async () => {
    const name = await givenUp();
    const seen: string[] = [];
    ledgers.onWrite = async () => seen.push((await view(name)).status);
    expect(await deliver([name])).toEqual(["acked"]);
    expect(seen).toEqual(["active"]);
    const { status, dlq_id = "" } = await view(name);
    expect(status).toBe("failed");
    expect(ledgers.letters.has(dlq_id)).toBe(true);
  });

  it("holds the request, every attempt, and why and when the job failed", async () => {
    const name = newName();
    const request = { messages: [{ role: "user" as const, content: CANARY }], priority: 3 };
    const spec = specOf({ id: "letter-1", routes: [GPT, CLAUDE], maxAttempts: 1, tier: "pro" });
    await job(name).submit(spec, request);
    for (const failure of [REFUSED, OUTAGE]) {
      const { token } = await leased(name);
      await job(name).append(token, partOf(0, "Half an ans"));
      passTime(1_000);
      await job(name).fail(token, failure, REPORT);
    }
    const attempts = await job(name).attempts();
    passTime(2_000);
    await deliver([name]);
    const { dlq_id = "", failed_at = "" } = await view(name);
    expect(ledgers.letters.get(dlq_id)).toEqual({
      dlqId: `dlq_${spec.uid}`,
      jobId: "letter-1",
      tenant: "acme",
      tier: "pro",
      model: "gpt-4o",
      provider: "anthropic",
      error: OUTAGE.message,
      errorCode: "provider_unavailable",
      submittedAt: spec.submittedAt,
      failedAt: Date.parse(failed_at),
      attempts: attempts.type === "found" ? attempts.value : [],
      request,
    });
    expect(ledgers.letters.get(dlq_id)?.attempts).toHaveLength(2);
  });

  it("is the same however often it is asked for, and none once it is written", async () => {
    const name = await givenUp();
    const letter = await letterOf(name);
    expect(letter).not.toBeNull();
    expect(await letterOf(name)).toEqual(letter);
    expect(await job(name).deadLettered()).toBe(true);
    const told = [await view(name), await events(name)];
    expect(await letterOf(name)).toBeNull();
    expect(await job(name).deadLettered()).toBe(true);
    expect([await view(name), await events(name)]).toEqual(told);
  });

  it("of a job whose message the queue gave up on says so", async () => {
    const name = await submitted();
    expect(await deliver([name])).toEqual(["acked"]);
    expect(await view(name)).toMatchObject({ status: "failed", error_code: "internal" });
    expect(ledgers.written.at(-1)).toMatchObject([{ errorCode: "internal", attempts: [] }]);
  });

  it.each<[string, (name: string) => Promise<unknown>]>([
    ["an attempt runs", leased],
    ["has been cancelled", (name) => job(name).cancel("enough")],
    ["has been deleted", (name) => job(name).delete()],
  ])("is not written of a job of which %s, and its message is done with", async (_, befall) => {
    const name = await submitted();
    await befall(name);
    const before = await stored(name);
    const written = ledgers.written.length;
    expect(await deliver([name])).toEqual(["acked"]);
    expect(ledgers.written).toHaveLength(written);
    expect(await stored(name)).toEqual(before);
  });
});

describe("a job whose dead-letter consumer does not come (invariant 2)", () => {
  it("fails by itself after a quarter of a minute, and rings for its letter until it is written", async () => {
    const name = await givenUp();
    const givenUpAt = Date.now();
    while ((await view(name)).status === "active") await wakeWhenDue(name);
    expect(Date.now() - givenUpAt).toBeLessThanOrEqual(15_000);
    const failed = await view(name);
    const rings = () => queues.to(name).filter((to) => to === "DEAD_LETTERS").length;
    expect(rings()).toBe(2);
    for (let rung = 3; rung < 8; rung++) {
      for (let alarms = 0; rings() < rung && alarms < 5; alarms++) await wakeWhenDue(name);
      expect(rings()).toBe(rung);
    }
    expect(await deliver([name])).toEqual(["acked"]);
    expect(await view(name)).toEqual(failed);
    const failedAt = Date.parse(failed.failed_at ?? "");
    expect(ledgers.letters.get(failed.dlq_id ?? "")).toMatchObject({ failedAt });
    // The alarm that was armed for the next ring finds it written.
    await wakeWhenDue(name);
    expect(rings()).toBe(7);
  });

  it("is kept beyond its time until somebody has written it down", async () => {
    const name = await givenUp({ failedRetentionMs: 1_000, retentionMs: 1_000 });
    passTime(15_000);
    expect((await view(name)).status).toBe("failed");
    passTime(3_600_000);
    await wakeWhenDue(name);
    expect((await view(name)).status).toBe("failed");
    expect(await deliver([name])).toEqual(["acked"]);
    expect(await job(name).read(false)).toEqual({ type: "gone" });
  });
});

describe("a batch of dead letters", () => {
  it("is written whole", async () => {
    const names = await Promise.all([givenUp(), givenUp(), givenUp()]);
    expect(await deliver(names)).toEqual(["acked", "acked", "acked"]);
    for (const name of names) {
      const { status, dlq_id = "" } = await view(name);
      expect([status, ledgers.letters.has(dlq_id)]).toEqual(["failed", true]);
    }
  });

  it("comes again where it could not be written, and no job of it has failed", async () => {
    const names = await Promise.all([givenUp(), givenUp()]);
    ledgers.broken = true;
    expect(await deliver(names)).toEqual(["retried", "retried"]);
    for (const name of names) expect((await view(name)).status).toBe("active");
    ledgers.broken = false;
    expect(await deliver(names)).toEqual(["acked", "acked"]);
    for (const name of names) expect((await view(name)).status).toBe("failed");
  });

  it("waits for no job that cannot be reached", async () => {
    const [lost, other] = await Promise.all([givenUp(), givenUp()]);
    expect(await deliver([lost, other], losing(lost, "giveUp"))).toEqual(["retried", "acked"]);
    expect((await view(other)).status).toBe("failed");
    expect(await deliver([lost])).toEqual(["acked"]);
    expect((await view(lost)).status).toBe("failed");
  });

  it("writes a letter once though its job could not be told of it at first", async () => {
    const name = await givenUp();
    const dlqId = (await letterOf(name))?.dlqId ?? "";
    expect(await deliver([name], losing(name, "deadLettered"))).toEqual(["retried"]);
    expect(ledgers.letters.has(dlqId)).toBe(true);
    expect(await deliver([name])).toEqual(["acked"]);
    expect(await view(name)).toMatchObject({ status: "failed", dlq_id: dlqId });
    expect((await events(name)).filter(({ type }) => type === "failed")).toHaveLength(1);
  });

  it.each<[string, (name: string) => Promise<unknown>]>([
    ["cancelled", (name) => job(name).cancel("enough")],
    ["deleted", (name) => job(name).delete()],
  ])("leaves no letter of a job that is %s as it is written", async (_, end) => {
    const name = await givenUp();
    const dlqId = (await letterOf(name))?.dlqId ?? "";
    ledgers.onWrite = () => end(name);
    expect(await deliver([name])).toEqual(["acked"]);
    expect(ledgers.letters.has(dlqId)).toBe(false);
    expect(ledgers.removed).toContain(dlqId);
  });

  it("takes back the letter of a job that was cancelled before it could be told of it", async () => {
    const name = await givenUp();
    const dlqId = (await letterOf(name))?.dlqId ?? "";
    expect(await deliver([name], losing(name, "deadLettered"))).toEqual(["retried"]);
    expect(ledgers.letters.has(dlqId)).toBe(true);
    await job(name).cancel("enough");
    expect(await deliver([name])).toEqual(["acked"]);
    expect(ledgers.letters.has(dlqId)).toBe(false);
  });

  it("says nothing of any prompt in a log line or a message", async () => {
    const name = newName();
    await job(name).submit(specOf({ maxAttempts: 1 }), { prompt: CANARY });
    ledgers.broken = true;
    await deliver([name]);
    ledgers.broken = false;
    await deliver([name]);
    expect(logged.join("\n")).toContain("dead_letter.unwritten");
    expect([logged, queues.sent].map((told) => JSON.stringify(told)).join("")).not.toContain(
      CANARY,
    );
  });
});
