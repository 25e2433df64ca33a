import { abortAllDurableObjects } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";

import { consume } from "../../src/consumer.ts";
import type { JobSpec, PlannedStep } from "../../src/domain/job.ts";
import type { KeptRequest } from "../../src/schema/job.ts";
import type { JobRpc } from "../../src/job/job-rpc.ts";
import {
  faultyCall,
  Faults,
  faultySend,
  sleepyCall,
  stubOf,
  type Call,
} from "../support/faulty.ts";
import { FaultyProvider } from "../support/faulty-provider.ts";
import { alarmOf, askInside, evict, ring, stage, type Letter } from "./stage.ts";
import { DAY_MS, newName, specOf } from "./support.ts";

/** Longer than any of these worlds lasts. */
const KEPT_MS = 30 * DAY_MS;

const LEASE_MS = 10_000;

/** A message in its queue: not to be delivered before `dueAt`. */
type Waiting = Letter & { dueAt: number };

/** A job among faults, and what was seen of its log while they struck. */
export type Subject = {
  name: string;
  spec: JobSpec;
  request: KeptRequest;
  cancels: boolean;
  seen: string[][];
};

/** Two calls, the second of which reads the first, and a template that reads both. The calls' prompts begin with the job's name. */
function inSteps(name: string): KeptRequest {
  return {
    steps: [
      { name: "draft", type: "llm", prompt: name },
      { name: "final", type: "llm", prompt: `${name} {{steps.draft.output}}` },
      { name: "join", type: "template", template: "{{steps.draft.output}}{{steps.final.output}}" },
    ],
  };
}

function plannedSteps({ routes, maxAttempts, timeoutMs }: JobSpec): PlannedStep[] {
  const llm = { type: "llm", weight: 1, maxAttempts, timeoutMs, routes } as const;
  const tokens = { promptTokens: 12, answerTokens: 100 };
  const join = { name: "join", type: "template", weight: 1, maxAttempts, timeoutMs } as const;
  return [
    { ...llm, ...tokens, name: "draft", reads: [] },
    { ...llm, ...tokens, name: "final", reads: [0] },
    { ...join, routes: [], promptTokens: 0, answerTokens: 0, reads: [0, 1] },
  ];
}

/**
 * Real objects and real consumers in a world where everything fails, in a time of its own. Between two moments
 * all that was asked is answered, but for a freeze, in which time passes and nobody is served.
 */
export class Chaos {
  readonly faults: Faults;
  readonly provider: FaultyProvider;
  readonly subjects: Subject[] = [];
  /** Every message that was ever in a queue. */
  readonly #sent: Waiting[] = [];
  #queue: Waiting[] = [];
  #consumers = 0;
  #calls = 0;
  readonly #env: Env;

  constructor(seed: number) {
    this.faults = new Faults(seed);
    this.provider = new FaultyProvider(this.faults);
    const enqueue = (letter: Letter, delayMs: number) => {
      const waiting = { ...letter, dueAt: Date.now() + delayMs };
      this.#sent.push(waiting);
      this.#queue.push(waiting);
    };
    stage.faults = this.faults;
    stage.send = faultySend(enqueue, this.faults);
    vi.stubGlobal("fetch", this.provider.fetch);
    this.#env = {
      ...env,
      JOBS: { getByName: (name: string) => this.#consumersStub(name) },
      OPENAI_API_KEY: "none",
      ATTEMPTS: this.faults.pick(["awaited", "detached"]),
      LEASE_SECONDS: String(LEASE_MS / 1_000),
      HEADERS_TIMEOUT_MS: "5000",
      IDLE_TIMEOUT_MS: "5000",
      UNWATCHED_JOIN_MS: "500",
    } as unknown as Env;
  }

  /** Submits a job of its own kind, again and again until the answer comes through, as a client does that insists. */
  async submit(): Promise<Subject> {
    const { faults } = this;
    const models = ["gpt-4o", "gpt-4o-mini"].slice(0, faults.between(1, 2));
    const name = newName();
    const hasSteps = faults.chance(0.4);
    const request = hasSteps ? inSteps(name) : { prompt: name };
    const bare = specOf({
      routes: models.map((model) => ({ name: model, provider: "openai", model, price: null })),
      maxAttempts: faults.between(1, 3),
      timeoutMs: faults.pick([5_000, 20_000]),
      leaseMs: LEASE_MS,
      backOff: { baseMs: 500, maxMs: 8_000 },
      runAt: Date.now() + faults.pick([0, 0, 0, 7_000]),
      retentionMs: KEPT_MS,
      failedRetentionMs: KEPT_MS,
      keyExpiresAt: Date.now() + KEPT_MS,
    });
    const cancels = faults.chance(0.2);
    const spec = hasSteps ? { ...bare, steps: plannedSteps(bare) } : bare;
    const subject: Subject = { name, spec, request, cancels, seen: [] };
    this.subjects.push(subject);
    await this.#insist(subject, (stub) => stub.submit(spec, request));
    return subject;
  }

  /** One moment of the world: something happens, and time passes. */
  async step(): Promise<void> {
    const { faults } = this;
    const subject = faults.pick(this.subjects as [Subject, ...Subject[]]);
    if (faults.strike("object evicted", 0.05)) await evict(subject.name);
    if (faults.strike("all objects aborted", 0.02)) await abortAllDurableObjects();
    if (faults.chance(0.1)) await this.#look(subject);
    if (faults.chance(0.1))
      await this.#insist(subject, (stub) => stub.submit(subject.spec, subject.request));
    if (subject.cancels && faults.chance(0.1))
      await this.#insist(subject, (stub) => stub.cancel("now"));
    if (faults.strike("old message replayed", 0.25))
      this.#deliver(faults.shuffled(this.#sent).slice(0, 3));
    if (faults.chance(0.9)) this.#deliverDue();
    if (!faults.strike("alarms late", 0.2)) await this.#ringDue();
    if (faults.strike("consumers frozen", 0.01)) vi.setSystemTime(Date.now() + 15_000);
    await this.pass(faults.between(1, 3_000));
  }

  /** Lets time pass in the company of all who are at work. */
  async pass(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
    await this.#quiet();
  }

  /** No fault and no message any more. Those at work come to their end. */
  async calm(): Promise<void> {
    this.faults.resting = true;
    for (let waits = 0; this.#consumers > 0; waits++) {
      if (waits > 1_000) throw new Error("a consumer never comes to its end");
      await this.pass(500);
    }
    this.#queue = [];
  }

  /** Moves time on to the job's alarm, which rings. Whatever it sends is lost. */
  async ring({ name }: Subject): Promise<void> {
    const alarm = await alarmOf(name);
    if (alarm === null) throw new Error(`${name} has no alarm`);
    vi.setSystemTime(Math.max(Date.now(), alarm));
    await ring(name);
    this.#queue = [];
  }

  /** Every message there ever was comes once more, all at the same time. */
  async replayAll(): Promise<void> {
    for (const message of this.faults.shuffled(this.#sent)) this.#deliver([message]);
    await this.calm();
  }

  #consumersStub(name: string): JobRpc {
    return stubOf(sleepyCall(this.#callTo(name), this.faults, LEASE_MS));
  }

  #callTo(name: string): Call {
    const call: Call = async (method, args) => {
      this.#calls++;
      try {
        return await askInside(name, method, args);
      } finally {
        this.#calls--;
      }
    };
    return faultyCall(call, this.faults, abortAllDurableObjects);
  }

  async #insist<T>({ name }: Subject, ask: (stub: JobRpc) => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await ask(stubOf(this.#callTo(name)));
      } catch (error) {
        if (tries > 50) throw error;
      }
    }
  }

  async #look(subject: Subject): Promise<void> {
    const found = await this.#insist(subject, (stub) => stub.log(0));
    if (found.type === "found") subject.seen.push(found.value.events.map(({ json }) => json));
  }

  #deliverDue(): void {
    const due = this.faults.shuffled(this.#queue.filter(({ dueAt }) => dueAt <= Date.now()));
    this.#queue = this.#queue.filter(({ dueAt }) => dueAt > Date.now());
    while (due.length > 0) this.#deliver(due.splice(0, this.faults.between(1, 5)));
  }

  /** Not awaited: batches overlap. A batch is of one queue. */
  #deliver(messages: Waiting[]): void {
    for (const [queue, ours] of Map.groupBy(messages, (message) => message.queue)) {
      this.#consumers++;
      const batch = ours.map((message) => this.#message(message));
      const work: Promise<unknown>[] = [];
      const ctx = { waitUntil: (promise: Promise<unknown>) => void work.push(promise) };
      const metadata = { metrics: { backlogCount: 0, backlogBytes: 0 } };
      const all = { ackAll: () => {}, retryAll: () => {} };
      const sent = { queue, metadata, messages: batch, ...all };
      work.push(consume(sent, this.#env, ctx as unknown as ExecutionContext));
      void allOf(work).finally(() => this.#consumers--);
    }
  }

  #message(waiting: Waiting): Message {
    const again = (delayMs: number) =>
      this.#queue.push({ ...waiting, dueAt: Date.now() + delayMs });
    return {
      id: crypto.randomUUID(),
      timestamp: new Date(),
      attempts: 1,
      body: waiting.body,
      ack: () => {},
      retry: ({ delaySeconds = 0 } = {}) => void again(delaySeconds * 1_000),
    };
  }

  async #ringDue(): Promise<void> {
    const rung = this.subjects.map(async ({ name }) => {
      const alarm = await alarmOf(name);
      if (alarm !== null && alarm <= Date.now()) await ring(name);
    });
    await Promise.all(rung);
  }

  /** Real turns of the event loop, until nothing is on its way to an object. */
  async #quiet(): Promise<void> {
    do {
      for (let turns = 0; turns < 2; turns++) await alarmOf("nobody");
    } while (this.#calls > 0);
  }
}

/** Waits for work to which work is added while it is done. */
async function allOf(work: Promise<unknown>[]): Promise<void> {
  for (let next = work.shift(); next !== undefined; next = work.shift()) await next;
}
