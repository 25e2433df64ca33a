import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";

import type { DeadLetter, LetterFilter, LetterSummary } from "../../src/domain/dead-letter.ts";
import type { DeadLetterDesk } from "../../src/ledgers/dead-letter-rpc.ts";
import type { DeadLetterObject } from "../../src/ledgers/dead-letter-object.ts";
import type { JobRpc } from "../../src/job/job-rpc.ts";
import { jobNamed } from "../../src/job/job-stub.ts";
import { newName } from "./support.ts";

export const OPERATOR = {
  OPERATOR_WEBHOOK_URL: "https://operator.example/alerts",
  OPERATOR_WEBHOOK_SECRET: "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
};

export function letterOf(overrides: Partial<DeadLetter> = {}): DeadLetter {
  const unique = crypto.randomUUID();
  return {
    dlqId: `dlq_${unique}`,
    jobId: `job-${unique}`,
    tenant: "acme",
    tier: "default",
    model: "gpt-4o",
    provider: "openai",
    error: "The provider is unavailable (HTTP 503)",
    errorCode: "provider_unavailable",
    submittedAt: Date.now() - 10_000,
    failedAt: Date.now(),
    attempts: [],
    request: { prompt: "Why is the sky blue?" },
    ...overrides,
  };
}

export function lettersOf(count: number, overrides: Partial<DeadLetter> = {}): DeadLetter[] {
  return Array.from({ length: count }, () => letterOf(overrides));
}

/** The jobs' objects, with `befall` happening after each has heard of its submission and before its answer comes. */
export function jobsThatAnswerAfter(befall: () => Promise<unknown>): Env["JOBS"] {
  const getByName = (name: string) => ({
    submit: async (...args: Parameters<JobRpc["submit"]>) => {
      const answer = await jobNamed(env, name).submit(...args);
      await befall();
      return answer;
    },
  });
  return { getByName } as unknown as Env["JOBS"];
}

/** The jobs' objects, where every id that is asked for was used before, as `type` says. */
export function jobsThatAre(type: "gone" | "reused"): Env["JOBS"] {
  const getByName = () => ({ submit: () => Promise.resolve({ type }) });
  return { getByName } as unknown as Env["JOBS"];
}

/** A ledger of a test's own. */
export class Ledger {
  readonly name = newName();

  /** A new stub at each call, as its users have. */
  get desk(): DeadLetterDesk {
    return this.object;
  }

  get object(): DurableObjectStub<DeadLetterObject> {
    return env.LETTERS.getByName(this.name);
  }

  /** The object as it is in memory, until it is evicted, with these settings. */
  async configure(settings: Record<string, unknown>): Promise<void> {
    await this.inside((object) => {
      const before = Reflect.get(object, "env") as object;
      Object.defineProperty(object, "env", {
        value: { ...before, ...settings },
        configurable: true,
      });
    });
  }

  inside<T>(look: (object: DeadLetterObject, storage: DurableObjectStorage) => T | Promise<T>) {
    return runInDurableObject(this.object, (object, { storage }) => look(object, storage));
  }

  evict(): Promise<void> {
    return evictDurableObject(this.object);
  }

  /** All open letters that fit, page by page. */
  async all(filter: LetterFilter = {}, limit = 200): Promise<LetterSummary[]> {
    const letters: LetterSummary[] = [];
    let page = await this.desk.list(filter, null, limit);
    for (;;) {
      letters.push(...page.letters);
      if (page.next === null) return letters;
      page = await this.desk.list(filter, page.next, limit);
    }
  }

  async depth(): Promise<number> {
    return (await this.desk.list({}, null, 1)).total;
  }

  alarmAt(): Promise<number | null> {
    return this.inside((_, storage) => storage.getAlarm());
  }

  /** Moves the clock to the alarm and lets it ring. */
  async wake(): Promise<void> {
    const alarm = await this.alarmAt();
    if (alarm === null) throw new Error("the ledger has no alarm");
    vi.setSystemTime(Math.max(Date.now(), alarm));
    await runDurableObjectAlarm(this.object);
  }

  /** Wakes it until the operation has ended. Answers how often. */
  async finish(operationId: string): Promise<number> {
    for (let wakes = 0; ; wakes++) {
      const operation = await this.desk.operation(operationId);
      if (operation?.endedAt !== null) return wakes;
      await this.wake();
    }
  }
}
