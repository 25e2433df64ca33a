import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { providerNamed } from "../../src/ledgers/provider-stub.ts";
import type { Needs } from "../../src/schema/message.ts";
import { answered, deliver, envWith, provide, straight } from "./worker-side.ts";
import {
  CLAUDE,
  forgetProvider,
  GPT,
  holdClock,
  job,
  logged,
  newName,
  objectOf,
  OUTAGE,
  partOf,
  passTime,
  queues,
  REPORT,
  stored,
  submitted,
  view,
} from "./support.ts";

const SECOND = 1_000;

holdClock();
let calls = 0;
beforeEach(async () => {
  await Promise.all([GPT, CLAUDE].map(({ provider }) => forgetProvider(provider)));
  // What this isolate has ahead from the test before is over.
  passTime(60 * SECOND);
  calls = 0;
  provide(() => {
    calls += 1;
    return answered();
  });
});

const { provider } = GPT;
const worker = () => envWith(straight);

/** Limits the provider, and lets it rest until it has a whole burst. */
async function limited(requests: number): Promise<void> {
  await providerNamed(env, provider).order({ requests });
  passTime(60 * SECOND);
}

/** The newest message that was sent for the job. */
function messageOf(name: string): { job: string; needs?: Needs | undefined } {
  const sent = queues.sent.findLast(({ body }) => body.job === name);
  if (sent === undefined) throw new Error("nothing was sent");
  return sent.body;
}

function deliverTo(name: string) {
  return deliver(worker(), "jobs-normal", [messageOf(name)]);
}

/** So many jobs whose provider has no permit left for them, each after its message. */
async function parked(count: number): Promise<string[]> {
  await limited(1);
  const first = await submitted();
  await deliverTo(first);
  expect((await view(first)).status).toBe("completed");
  const names: string[] = [];
  for (let at = 0; at < count; at++) {
    passTime(1);
    const name = await submitted();
    expect(await deliverTo(name)).toEqual({ acked: ["0"], retried: [] });
    names.push(name);
  }
  calls = 0;
  return names;
}

/** Has the provider look again whose turn it is. */
async function nextTurn(): Promise<void> {
  await providerNamed(env, provider).order({});
}

describe("a job without a permit", () => {
  it("burns no attempt and no redelivery, and is rung for when it is its turn", async () => {
    const [name = "", other = ""] = await parked(2);
    for (let again = 0; again < 3; again++) {
      expect(await deliverTo(name)).toEqual({ acked: ["0"], retried: [] });
    }
    expect(await view(name)).toMatchObject({ status: "queued", attempts_made: 0 });
    expect(calls).toBe(0);
    passTime(64 * SECOND);
    const before = queues.sent.length;
    await nextTurn();
    expect(queues.sent.slice(before).map(({ body }) => body.job)).toEqual([name]);
    await deliverTo(name);
    expect(await view(name)).toMatchObject({ status: "completed", attempts_made: 1 });
    expect(await view(other)).toMatchObject({ status: "queued", attempts_made: 0 });
    expect(calls).toBe(1);
  });

  it("rings by itself all the same, and is parked anew where its provider has lost it", async () => {
    const [name = ""] = await parked(1);
    await forgetProvider(provider);
    await limited(1);
    await providerNamed(env, provider).order({ paused: true });
    expect((await stored(name)).alarm).toBeTypeOf("number");
    await deliverTo(name);
    expect((await providerNamed(env, provider).state()).parked.normal).toBe(1);
  });

  it("gives the permit back where it was cancelled meanwhile, for who is next", async () => {
    const [name = "", next = ""] = await parked(2);
    await job(name).cancel("no longer wanted");
    passTime(64 * SECOND);
    await nextTurn();
    await deliverTo(name);
    expect(queues.sent.at(-1)?.body.job).toBe(next);
    await deliverTo(next);
    expect((await view(next)).status).toBe("completed");
    expect(calls).toBe(1);
  });
});

describe("while a provider has much to hear", () => {
  it("jobs are parked together, one speaking for all, and rung for in their turn", async () => {
    await parked(1);
    for (let words = 0; words < 120; words++) await providerNamed(env, provider).giveBack("none");
    const names: string[] = [];
    for (let at = 0; at < 4; at++) names.push(await submitted());
    const [first = "", ...others] = names;
    await deliverTo(first);
    const asked = vi.spyOn(env.PROVIDERS, "getByName");
    const told = deliver(worker(), "jobs-normal", others.map(messageOf));
    expect(await told).toEqual({ acked: ["0", "1", "2"], retried: [] });
    expect(asked).toHaveBeenCalledTimes(1);
    asked.mockRestore();
    expect((await providerNamed(env, provider).state()).parked.normal).toBe(5);
    expect(calls).toBe(0);
  });
});

describe("a message", () => {
  it("of a version that said nothing of what its job needs is as good", async () => {
    await limited(50);
    const name = await submitted();
    await deliver(worker(), "jobs-normal", [{ job: name }]);
    expect((await view(name)).status).toBe("completed");
    const waits = await submitted();
    await providerNamed(env, provider).order({ paused: true });
    await deliver(worker(), "jobs-normal", [{ job: waits }]);
    expect(await view(waits)).toMatchObject({ status: "queued", attempts_made: 0 });
    expect((await providerNamed(env, provider).state()).parked.normal).toBe(1);
  });

  it.each([
    ["names another provider than the job's is now", { provider: CLAUDE.provider }],
    ["makes no sense in what it says is needed", { tokens: "many" }],
  ])("that %s leads to the right one", async (_, wrong) => {
    await limited(50);
    const name = await submitted();
    const { needs } = messageOf(name);
    await deliver(worker(), "jobs-normal", [{ job: name, needs: { ...needs, ...wrong } }]);
    expect((await view(name)).status).toBe("completed");
    await providerNamed(env, provider).order({ paused: true });
    const waits = await submitted();
    await deliver(worker(), "jobs-normal", [{ job: waits, needs: { ...needs, ...wrong } }]);
    expect((await view(waits)).status).toBe("queued");
  });

  it("of a job that goes on with a fallback says what that needs", async () => {
    const name = await submitted({ routes: [GPT, CLAUDE], maxAttempts: 1 });
    const grant = await job(name).lease("token", GPT.provider);
    expect(grant.type).toBe("leased");
    await job(name).fail("token", OUTAGE, REPORT);
    expect(await job(name).lease("other", GPT.provider)).toMatchObject({
      type: "elsewhere",
      needs: { provider: CLAUDE.provider, tenant: "acme" },
    });
    expect(await job(name).lease("other", null)).toMatchObject({ type: "elsewhere" });
    expect(await job(name).lease("other", CLAUDE.provider)).toMatchObject({ type: "leased" });
    await job(name).append("other", partOf(0, "said"));
  });

  it("that comes again asks for what its job needs by then, not for what it needed", async () => {
    const name = await submitted({ routes: [GPT, CLAUDE], maxAttempts: 1 });
    const first = messageOf(name);
    await job(name).lease("token", GPT.provider);
    await job(name).fail("token", OUTAGE, REPORT);
    await providerNamed(env, provider).order({ paused: true });
    await deliver(worker(), "jobs-normal", [first], 2);
    expect(await view(name)).toMatchObject({ attempts_made: 2, provider: CLAUDE.provider });
    expect((await providerNamed(env, provider).state()).parked.normal).toBe(0);
  });

  it("of a consumer that knows no permits is leased as ever", async () => {
    const name = await submitted();
    expect(await job(name).lease("token")).toMatchObject({ type: "leased" });
  });
});

describe("a provider that cannot be asked", () => {
  it("is not called: the message is settled, and the job rings again by its own alarm", async () => {
    const name = await submitted();
    const broken = {
      getByName: () => ({ ask: () => Promise.reject(new Error("overloaded")) }),
    };
    const environment = { ...worker(), PROVIDERS: broken } as unknown as Env;
    const told = await deliver(environment, "jobs-normal", [messageOf(name)]);
    expect(told).toEqual({ acked: ["0"], retried: [] });
    expect(calls).toBe(0);
    expect(await view(name)).toMatchObject({ status: "queued", attempts_made: 0 });
    expect((await stored(name)).alarm).toBeTypeOf("number");
    const line = { event: "provider.unreachable", provider, error: "Error" };
    expect(logged).toContain(JSON.stringify(line));
  });
});

describe("a call", () => {
  it("that is refused with a 429 parks its provider for everybody, and its own job waits its time", async () => {
    const name = await submitted();
    const headers = { "retry-after": "20" };
    provide(() => Response.json({ error: {} }, { status: 429, headers }));
    expect((await deliverTo(name)).retried).toEqual(["0"]);
    provide(answered);
    const other = await submitted({ tenant: "other" });
    expect(await deliverTo(other)).toEqual({ acked: ["0"], retried: [] });
    expect(await view(other)).toMatchObject({ status: "queued", attempts_made: 0 });
    expect(await view(name)).toMatchObject({ status: "queued", attempts_made: 1 });
    passTime(20 * SECOND);
    await nextTurn();
    await deliverTo(other);
    expect((await view(other)).status).toBe("completed");
  });

  it("of a provider without a limit asks once, and tells its end", async () => {
    const asked = vi.spyOn(env.PROVIDERS, "getByName");
    for (let at = 0; at < 3; at++) await deliverTo(await submitted());
    expect(calls).toBe(3);
    expect(asked).toHaveBeenCalledTimes(6);
    asked.mockRestore();
  });

  it("that is made beside others asks and tells together with them", async () => {
    const answers: (() => void)[] = [];
    provide(async () => {
      await new Promise<void>((resolve) => answers.push(resolve));
      return answered();
    });
    const asked = vi.spyOn(env.PROVIDERS, "getByName");
    const names = [await submitted(), await submitted()];
    const [first, second] = [names[0] ?? "", names[1] ?? ""];
    const ends = [deliverTo(first)];
    await vi.waitUntil(() => answers.length === 1);
    ends.push(deliverTo(second));
    await vi.waitUntil(() => answers.length === 2);
    for (const answer of answers) answer();
    await Promise.all(ends);
    expect(asked).toHaveBeenCalledTimes(2);
    asked.mockRestore();
  });

  it("costs a question and its answer where its provider has a limit, of tokens too", async () => {
    const asked = vi.spyOn(env.PROVIDERS, "getByName");
    await limited(50);
    asked.mockClear();
    await deliverTo(await submitted());
    expect(asked).toHaveBeenCalledTimes(2);
    await providerNamed(env, provider).order({ tokens: 100_000 });
    passTime(60 * SECOND);
    asked.mockClear();
    await deliverTo(await submitted());
    expect(asked).toHaveBeenCalledTimes(2);
    asked.mockRestore();
  });
});

it("a job that nobody submitted needs nothing", async () => {
  const name = newName();
  await deliver(worker(), "jobs-normal", [{ job: name }]);
  expect(objectOf(name).id.name).toBe(name);
  expect(calls).toBe(0);
});
