import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, vi } from "vitest";

import type { CallReport, Part } from "../../src/domain/command.ts";
import { classify } from "../../src/domain/failure.ts";
import type { Answer, JobSpec, Route } from "../../src/domain/job.ts";
import type { JobObject } from "../../src/job-object.ts";
import type { Grant, JobRpc, Leased, LogPage } from "../../src/job/job-rpc.ts";
import { jobNamed } from "../../src/job/job-stub.ts";
import { JobEvent } from "../../src/schema/event.ts";
import type { KeptRequest, JobView } from "../../src/schema/job.ts";
import { ledgers, standInForLedgers } from "./ledgers.ts";
import type { Doorbell } from "../../src/schema/message.ts";

export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** A queue message that was sent, and to which binding. */
export type Sent = { to: string; body: Doorbell; delaySeconds: number };

/** What stands in for the queues: it keeps what is sent, and delivers nothing. */
export const queues = {
  sent: [] as Sent[],
  /** While true, sending fails as it does to a full queue. */
  broken: false,
  to(name: string): string[] {
    return this.sent.filter(({ body }) => body.job === name).map(({ to }) => to);
  },
};

/** Every line written to the console. */
export const logged: string[] = [];

const QUEUES = [
  "LANE_HIGH",
  "LANE_NORMAL",
  "LANE_LOW",
  "LANE_LONG",
  "DEAD_LETTERS",
  "WEBHOOKS",
  "WEBHOOK_DEAD_LETTERS",
] as const;

/** Puts the queues and the console into the tests' hands: no job runs by itself, nothing is printed. */
export function holdQueues({ ledgersToo = true } = {}): void {
  beforeAll(() => {
    for (const to of QUEUES) {
      const send = (body: Doorbell, { delaySeconds = 0 }: QueueSendOptions = {}) => {
        if (queues.broken) return Promise.reject(new Error("Queue is overloaded"));
        queues.sent.push({ to, body, delaySeconds });
        return Promise.resolve({ metadata: { metrics: { backlogCount: 0 } } });
      };
      const sendBatch = async (messages: { body: Doorbell }[]) => {
        await Promise.all(messages.map(({ body }) => send(body)));
      };
      // All objects, and whatever comes after an eviction, share these very binding objects.
      Object.defineProperties(env[to], { send: { value: send }, sendBatch: { value: sendBatch } });
    }
    if (ledgersToo) standInForLedgers();
    for (const level of ["log", "error"] as const) {
      vi.spyOn(console, level).mockImplementation(
        (line: unknown) => void logged.push(String(line)),
      );
    }
  });
  afterEach(() => {
    queues.broken = false;
    ledgers.broken = false;
  });
}

/**
 * Puts the clock into the tests' hands too. It starts an hour ahead, so no alarm set by it comes due in
 * real time, and it stands still until moved: an alarm runs when a test says so.
 */
export function holdClock(held: { ledgersToo?: boolean } = {}): void {
  holdQueues(held);
  beforeEach(() => {
    const now = Date.now() + HOUR_MS;
    vi.useFakeTimers({ toFake: ["Date"], now });
  });
}

export function passTime(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

/**
 * Waits for work whose timers are faked, moving their clock on until it is done. What the work asks of
 * objects takes real turns of the event loop; asking one here gives it such a turn.
 */
export async function hurried<T>(work: Promise<T>): Promise<T> {
  const state = { done: false };
  const settled = work.finally(() => {
    state.done = true;
  });
  while (!state.done) {
    await vi.advanceTimersByTimeAsync(500);
    await job("an object to wait for").read(false);
  }
  return settled;
}

/** A name no other test has. */
export function newName(): string {
  return `job-${crypto.randomUUID()}`;
}

/** A new stub, as after a call that has thrown. */
export function job(name: string): JobRpc {
  return jobNamed(env, name);
}

/** The same object as the platform's test helpers want it. */
export function objectOf(name: string): DurableObjectStub<JobObject> {
  return env.JOBS.getByName(name);
}

export const GPT: Route = {
  name: "gpt-4o",
  provider: "openai",
  model: "gpt-4o",
  price: { input: 2.5, output: 10 },
};
export const CLAUDE: Route = {
  name: "claude",
  provider: "anthropic",
  model: "claude-5",
  price: { input: 1, output: 5 },
};

export function specOf(overrides: Partial<JobSpec> = {}): JobSpec {
  const submittedAt = overrides.submittedAt ?? Date.now();
  const startBy = overrides.startBy ?? (overrides.runAt ?? submittedAt) + DAY_MS;
  return {
    id: "test-123",
    uid: `uid-${crypto.randomUUID()}`,
    replayOf: null,
    tenant: "acme",
    tier: "default",
    priorityLevel: 5,
    lane: "normal",
    idempotencyKey: "test-123",
    fingerprint: "sha-of-the-payload",
    routes: [GPT],
    maxAttempts: 3,
    maxStalls: 2,
    timeoutMs: 90_000,
    leaseMs: 60_000,
    backOff: { baseMs: 5_000, maxMs: 300_000 },
    submittedAt,
    runAt: submittedAt,
    startBy,
    endBy: startBy + DAY_MS,
    promptTokens: 12,
    retentionMs: DAY_MS,
    failedRetentionMs: 7 * DAY_MS,
    keyExpiresAt: submittedAt + DAY_MS,
    user: null,
    metadata: {},
    ...overrides,
  };
}

export const REQUEST: KeptRequest = { prompt: "Why is the sky blue?" };
export const OUTAGE = classify({ kind: "unreachable" });
export const ANSWER: Answer = {
  model: "gpt-4o-2024-08-06",
  finish_reason: "stop",
  tool_calls: [],
  usage: { prompt_tokens: 9, completion_tokens: 90, total_tokens: 99 },
};
export const REPORT: CallReport = {
  ttftMs: 200,
  providerMs: 900,
  usage: ANSWER.usage,
  taken: true,
  answerBytes: null,
};
/** Of a call to `GPT` that reported `ANSWER.usage`: 9 tokens at $2.50 and 90 at $10 a million. */
export const COST = 0.0009225;

export function partOf(part: number, text: string): Part {
  return { part, text, ttftMs: 200 };
}

/** Submits a job under a new name, which it answers. */
export async function submitted(overrides: Partial<JobSpec> = {}): Promise<string> {
  const name = newName();
  await job(name).submit(specOf(overrides), REQUEST);
  return name;
}

/** Asks for the lease, as a consumer of its own. */
export function lease(name: string): Promise<Grant> {
  return job(name).lease(crypto.randomUUID());
}

/** Takes the lease, which must be there to be had. */
export async function leased(name: string): Promise<Leased & { token: string }> {
  const token = crypto.randomUUID();
  const grant = await job(name).lease(token);
  if (grant.type !== "leased") throw new Error(`no lease, but ${grant.type}`);
  return { ...grant, token };
}

/** Carries the job to its end with an answer of these parts. */
export async function completed(name: string, ...texts: string[]): Promise<void> {
  const { token } = await leased(name);
  for (const [at, text] of texts.entries()) await job(name).append(token, partOf(at, text));
  await job(name).complete(token, partOf(texts.length, ""), ANSWER, REPORT);
}

/** What the dead-letter consumer does for a job: has it give up, and tells it that its letter is written. */
export async function deadLetter(name: string): Promise<void> {
  await job(name).giveUp();
  await job(name).deadLettered();
}

/** A provider of whom nothing is known: no order, no block, nobody who waits. */
export async function forgetProvider(name: string): Promise<void> {
  const object = env.PROVIDERS.getByName(name);
  await runInDurableObject(object, (_provider, { storage }) => storage.deleteAll());
  await evictDurableObject(object);
}

export async function view(name: string, withPartialOutput = false): Promise<JobView> {
  const found = await job(name).read(withPartialOutput);
  if (found.type !== "found") throw new Error(`the job is ${found.type}`);
  return found.value;
}

export async function page(name: string, after: number): Promise<LogPage> {
  const found = await job(name).log(after);
  if (found.type !== "found") throw new Error(`the job is ${found.type}`);
  return found.value;
}

/** The whole log as lines, read page by page. */
export async function lines(name: string, after = 0): Promise<string[]> {
  const { events, more } = await page(name, after);
  const texts = events.map(({ json }) => json);
  const last = events.at(-1);
  return more && last !== undefined ? [...texts, ...(await lines(name, last.seq))] : texts;
}

/** The whole log, each event of the shape that readers are promised. */
export async function events(name: string): Promise<JobEvent[]> {
  return (await lines(name)).map((line) => JobEvent.parse(JSON.parse(line)));
}

export async function typesOf(name: string): Promise<JobEvent["type"][]> {
  return (await events(name)).map(({ type }) => type);
}

/** The text of all deltas. */
export function textsOf(log: JobEvent[]): string {
  return log.map((event) => (event.type === "delta" ? event.delta : "")).join("");
}

/** Everything an object keeps: its rows, its tables, its alarm. */
export function stored(name: string) {
  return runInDurableObject(objectOf(name), async (_job, { storage }) => ({
    rows: [...storage.kv.list()],
    tables: storage.sql.exec("SELECT name FROM sqlite_master").toArray(),
    alarm: await storage.getAlarm(),
  }));
}

export const NOTHING_STORED = { rows: [], tables: [], alarm: null };

/** Moves the clock to the job's alarm and lets it ring. */
export async function wakeWhenDue(name: string): Promise<void> {
  const { alarm } = await stored(name);
  if (alarm === null) throw new Error("the job has no alarm");
  vi.setSystemTime(Math.max(Date.now(), alarm));
  await runDurableObjectAlarm(objectOf(name));
}
