import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

import type { JobEnded, JobStarted } from "../../src/domain/stats.ts";
import { windowOf } from "../../src/domain/window.ts";
import type { Counted, Total } from "../../src/ledgers/stats-rpc.ts";

/** A shard of a test's own. Its object is asked anew each time, as a new stub is taken after an eviction. */
export function shardNamed(name: string) {
  const object = () => env.STATS.getByName(name);
  return {
    object,
    start: (over: Partial<JobStarted> = {}) => object().note({ ...STARTED, ...later(), ...over }),
    retry: () => object().note({ type: "retried", job: "job-1", errorCode: "timeout" }),
    end: (over: Partial<JobEnded> = {}) => object().note({ ...ENDED, ...over }),
    count: async (seconds = 3_600): Promise<Counted> =>
      object().count(windowOf(seconds, Date.now())),
    total: async (): Promise<Total> => object().total(),
    stored: () =>
      runInDurableObject(object(), async (_stats, { storage }) => ({
        keys: [...storage.kv.list()].map(([key]) => key.replace(/:.*/, "")),
        alarm: await storage.getAlarm(),
      })),
    evict: () => evictDurableObject(object()),
    alarm: () => runDurableObjectAlarm(object()),
  };
}

export const STARTED = { type: "started", job: "job-1", lane: "normal", queueMs: 40 } as const;
export const ENDED: JobEnded = {
  type: "ended",
  job: "job-1",
  tenant: "acme",
  model: "gpt-4o",
  provider: "openai",
  status: "completed",
  errorCode: null,
  ttftMs: 620,
  totalMs: 8_100,
  costUsd: 0.0011,
  wastedCostUsd: 0,
};

export function later() {
  return { expiresAt: Date.now() + 150_000 };
}
