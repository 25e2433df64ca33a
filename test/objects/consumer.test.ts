import {
  abortAllDurableObjects,
  createExecutionContext,
  createMessageBatch,
  getQueueResult,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { consume } from "../../src/consumer.ts";
import {
  events,
  forgetProvider,
  holdQueues,
  hurried,
  job,
  logged,
  newName,
  NOTHING_STORED,
  queues,
  stored,
  submitted,
  view,
} from "./support.ts";

holdQueues();

/** The provider at the other end of the network: it counts its calls and answers them all with the same. */
const provider = {
  calls: 0,
  respond: (): Response | Promise<Response> => answer("Rayleigh ", "scattering."),
};

beforeEach(async () => {
  await forgetProvider("openai");
  provider.calls = 0;
  provider.respond = () => answer("Rayleigh ", "scattering.");
  vi.stubGlobal("fetch", () => {
    provider.calls++;
    return Promise.resolve(provider.respond());
  });
});

afterEach(() => {
  vi.useRealTimers();
});

function answer(...texts: string[]): Response {
  const frames = [
    ...texts.map((content) => ({ delta: { content }, finish_reason: null })),
    { delta: {}, finish_reason: "stop" },
  ].map((choice) =>
    JSON.stringify({ model: "gpt-4o-2024-08-06", choices: [{ index: 0, ...choice }] }),
  );
  const body = [...frames, "[DONE]"].map((frame) => `data: ${frame}\n\n`).join("");
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

function refusal(status: number, headers: HeadersInit = {}): Response {
  return Response.json({ error: { message: "canary of the upstream" } }, { status, headers });
}

type Settings = { JOBS?: Env["JOBS"]; ATTEMPTS?: string; LEASE_SECONDS?: string };

/** Delivers a batch to the consumer and says what it did with each message, by its place. */
async function deliver(queue: string, bodies: unknown[], settings: Settings = {}) {
  const batch = createMessageBatch(
    queue,
    bodies.map((body, at) => ({ id: String(at), timestamp: Date.now(), attempts: 1, body })),
  );
  const delays = delaysOf(batch);
  const context = createExecutionContext();
  await consume(batch, environment(settings), context);
  const { explicitAcks, retryMessages, retryBatch } = await getQueueResult(batch, context);
  const retried = retryMessages.map(({ msgId }) => [msgId, delays.get(msgId)]);
  return { acked: explicitAcks, retried, retriedAll: retryBatch.retry };
}

function environment(settings: Settings): Env {
  return { ...env, OPENAI_API_KEY: "sk-canary", ATTEMPTS: "awaited", ...settings } as Env;
}

/** The delays that messages are sent back with. `getQueueResult` has a field for them, but never fills it. */
function delaysOf(batch: MessageBatch): Map<string, number | undefined> {
  const delays = new Map<string, number | undefined>();
  for (const message of batch.messages) {
    const retry = message.retry.bind(message);
    message.retry = (options) => {
      delays.set(message.id, options?.delaySeconds);
      retry(options);
    };
  }
  return delays;
}

describe("a queue message", () => {
  it("makes its job's attempt and is acknowledged when that has ended", async () => {
    const name = await submitted();
    const result = await deliver("jobs-normal", [{ job: name }]);
    expect(result).toEqual({ acked: ["0"], retried: [], retriedAll: false });
    expect(await view(name)).toMatchObject({
      status: "completed",
      result: { content: "Rayleigh scattering." },
    });
  });

  it("F6: that comes three times in one batch makes one call (invariant 3)", async () => {
    const name = await submitted();
    const message = { job: name };
    const { acked } = await deliver("jobs-normal", [message, message, message]);
    expect(acked).toEqual(["0", "1", "2"]);
    expect(provider.calls).toBe(1);
    expect(await view(name)).toMatchObject({ status: "completed", attempts_made: 1 });
  });

  it("F6, F7: that comes in several batches at once, and again later, makes one call (invariant 3)", async () => {
    const name = await submitted();
    const batches = Array.from({ length: 5 }, () => deliver("jobs-normal", [{ job: name }]));
    const results = await Promise.all(batches);
    results.push(await deliver("jobs-normal", [{ job: name }]));
    expect(results.every(({ acked }) => acked.length === 1)).toBe(true);
    expect(provider.calls).toBe(1);
    const ends = (await events(name)).filter(({ type }) => type === "completed");
    expect(ends).toHaveLength(1);
  });

  it("F9: for a job that was never submitted is acknowledged and leaves nothing behind", async () => {
    const name = newName();
    expect((await deliver("jobs-normal", [{ job: name }])).acked).toEqual(["0"]);
    expect(await stored(name)).toEqual(NOTHING_STORED);
    expect(provider.calls).toBe(0);
  });

  it("F9: that makes no sense is acknowledged, and the others of its batch proceed", async () => {
    const name = await submitted();
    const poison = [null, 5, "job", {}, { job: 7 }, { job: "" }, { job: "x".repeat(129) }, []];
    const { acked, retried } = await deliver("jobs-normal", [...poison, { job: name }]);
    expect(acked).toHaveLength(poison.length + 1);
    expect(retried).toEqual([]);
    expect((await view(name)).status).toBe("completed");
    expect(logged.filter((line) => line.includes("message.refused"))).toEqual(
      poison.map((_, at) => JSON.stringify({ event: "message.refused", message_id: String(at) })),
    );
  });

  it("for a job that is not due comes back when it is", async () => {
    const name = await submitted({ runAt: Date.now() + 3_600_000 });
    const { acked, retried } = await deliver("jobs-normal", [{ job: name }]);
    expect(acked).toEqual([]);
    expect(retried).toHaveLength(1);
    expect(retried[0]?.[1]).toBeOneOf([3_598, 3_599, 3_600]);
    expect(provider.calls).toBe(0);
  });

  it("of a failed attempt comes back after the back-off, with the provider's own wait as its floor", async () => {
    const name = await submitted();
    provider.respond = () => refusal(429, { "retry-after": "7" });
    const { retried } = await deliver("jobs-normal", [{ job: name }]);
    expect(retried).toEqual([["0", 7]]);
    expect(await view(name)).toMatchObject({ status: "queued", attempts_made: 1 });
    const early = await deliver("jobs-normal", [{ job: name }]);
    expect(early.retried[0]?.[1]).toBeOneOf([6, 7]);
    expect(provider.calls).toBe(1);
  });

  it("of a job that gives up is acknowledged, and the dead-letter queue has it (invariant 9)", async () => {
    const name = await submitted();
    provider.respond = () => refusal(400);
    expect((await deliver("jobs-normal", [{ job: name }])).acked).toEqual(["0"]);
    expect(queues.to(name)).toEqual(["LANE_NORMAL", "DEAD_LETTERS"]);
    expect((await deliver("jobs-dead-letter", [{ job: name }])).acked).toEqual(["0"]);
    expect(await view(name)).toMatchObject({
      status: "failed",
      error_code: "provider_rejected",
      error: "The provider rejected the request (HTTP 400)",
    });
    const told = [JSON.stringify(await stored(name)), ...logged].join("\n");
    expect(told).not.toContain("canary");
    expect(provider.calls).toBe(1);
  });

  it("F42: is acknowledged, rather than throw, where the settings cannot be read: its job rings again", async () => {
    const name = await submitted();
    const settings = { LEASE_SECONDS: "a while" };
    const { acked } = await deliver("jobs-normal", [{ job: name }], settings);
    expect(acked).toEqual(["0"]);
    expect(await view(name)).toMatchObject({ status: "queued", attempts_made: 0 });
    expect((await stored(name)).alarm).toBeTypeOf("number");
  });

  it("comes back, rather than throw, where its job cannot be reached", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    const JOBS = unreachable();
    const { retried } = await hurried(deliver("jobs-normal", [{ job: newName() }], { JOBS }));
    expect(retried).toEqual([["0", 10]]);
  });

  it("F13: of a job that a deploy resets while its model speaks is answered all the same", async () => {
    const name = await submitted();
    provider.respond = async () => {
      await abortAllDurableObjects();
      return answer("Rayleigh ", "scattering.");
    };
    expect((await deliver("jobs-normal", [{ job: name }])).acked).toEqual(["0"]);
    expect((await view(name)).result?.content).toBe("Rayleigh scattering.");
    expect(provider.calls).toBe(1);
  });

  it("of a queue that is none of ours waits with all its batch until that is mended", async () => {
    const name = await submitted();
    const result = await deliver("somebody-elses", [{ job: name }, null]);
    expect(result).toEqual({ acked: [], retried: [], retriedAll: true });
    expect((await view(name)).attempts_made).toBe(0);
  });

  it("finds its lane though a deployment has added to the queue's name", async () => {
    const name = await submitted();
    await deliver("staging-jobs-normal-eu", [{ job: name }]);
    expect((await view(name)).status).toBe("completed");
    const given = await submitted();
    await deliver("staging-jobs-dead-letter-eu", [{ job: given }]);
    expect((await view(given)).status).toBe("failed");
  });
});

describe("with detached attempts, as on a laptop", () => {
  const settings = { ATTEMPTS: "detached" };

  it("a message is acknowledged before its attempt is over, and the attempt goes on", async () => {
    const name = await submitted();
    const body = Promise.withResolvers<Response>();
    vi.stubGlobal("fetch", () => body.promise);
    const batch = createMessageBatch("jobs-normal", [
      { id: "0", timestamp: Date.now(), attempts: 1, body: { job: name } },
    ]);
    const context = createExecutionContext();
    await consume(batch, environment(settings), context);
    expect((await view(name)).status).not.toBe("completed");
    body.resolve(answer("Because."));
    const { explicitAcks } = await getQueueResult(batch, context);
    expect(explicitAcks).toEqual(["0"]);
    expect((await view(name)).result?.content).toBe("Because.");
  });

  it("F6: three copies of a message make one call (invariant 3)", async () => {
    const name = await submitted();
    const message = { job: name };
    await deliver("jobs-normal", [message, message, message], settings);
    expect(provider.calls).toBe(1);
    expect((await view(name)).status).toBe("completed");
  });

  it("a retry is a new message, delayed as the old one would have been", async () => {
    const name = await submitted({ lane: "low" });
    provider.respond = () => refusal(503, { "retry-after": "9" });
    const { acked, retried } = await deliver("jobs-low", [{ job: name }], settings);
    expect([acked, retried]).toEqual([["0"], []]);
    const last = queues.sent.findLast(({ body }) => body.job === name);
    expect(last).toEqual({ to: "LANE_LOW", body: { job: name }, delaySeconds: 9 });
  });
});

describe("a batch of dead letters", () => {
  it("ends every job in it, and leaves alone the one that has ended already (invariant 1)", async () => {
    const names = await Promise.all([submitted(), submitted(), submitted()]);
    await job(names[1] ?? "").cancel("before");
    const bodies = [...names, newName()].map((name) => ({ job: name }));
    const { acked } = await deliver("jobs-dead-letter", [...bodies, "poison"]);
    expect(acked).toEqual(["0", "1", "2", "3", "4"]);
    const statuses = await Promise.all(names.map(async (name) => (await view(name)).status));
    expect(statuses).toEqual(["failed", "cancelled", "failed"]);
    expect(provider.calls).toBe(0);
  });

  it("sends back the ones whose job cannot be reached", async () => {
    const JOBS = unreachable();
    const { acked, retried } = await deliver("jobs-dead-letter", [{ job: newName() }, {}], {
      JOBS,
    });
    expect(acked).toEqual(["1"]);
    expect(retried).toEqual([["0", undefined]]);
  });
});

/** A namespace in which every call fails. */
function unreachable(): Env["JOBS"] {
  const stub = new Proxy({}, { get: () => () => Promise.reject(new Error("overloaded")) });
  return { getByName: () => stub } as unknown as Env["JOBS"];
}
