import type { Config } from "./settings/config.ts";
import { checkDeadLetters, checkQueue, type Checks, type QueueReport } from "./domain/health.ts";
import { deadLetterDepth } from "./ledgers/dead-letter-depth.ts";
import { reportQueues } from "./queues.ts";
import { checkSettings } from "./settings/setup.ts";

/** How long what was measured is told again, in milliseconds: anybody may ask, and none may make us ask the platform more. */
const FRESH_MS = 5_000;

/** Longer than any measurement takes. */
const MEASURED_WITHIN_MS = 3_000;

/** What this isolate measured last, and when it last began to. Values only: a request must not wait for another's calls. */
type Memory = { checks: Checks; at: number } | undefined;
let memory: Memory;
let begunAt = -Infinity;

/** All checks: what is set, and what is measured, which may be some seconds old. Never rejects. */
export async function checkHealth(env: Env, config: Config): Promise<Checks> {
  return { ...(await measured(env, config)), ...checkSettings(config) };
}

async function measured(env: Env, config: Config): Promise<Checks> {
  const now = Date.now();
  // While one request measures the others are told what is known, however old it is.
  const busy = now - begunAt < MEASURED_WITHIN_MS;
  if (memory !== undefined && (busy || now - memory.at < FRESH_MS)) return memory.checks;
  begunAt = now;
  const checks = await measure(env, config);
  memory = { checks, at: Date.now() };
  begunAt = -Infinity;
  return checks;
}

async function measure(env: Env, config: Config): Promise<Checks> {
  const [queues, depth] = await Promise.all([reportQueues(env), deadLetterDepth(env)]);
  return checkMeasured(queues, depth, config);
}

/** What these measurements mean. `depth`: dead letters kept; null if their ledger did not say. */
export function checkMeasured(queues: QueueReport[], depth: number | null, config: Config): Checks {
  const now = Date.now();
  const checks = queues.map((report) => {
    return [report.queue, checkQueue(report, maxAgeSeconds(report.queue, config), now)];
  });
  return {
    ...(Object.fromEntries(checks) as Checks),
    dead_letters: checkDeadLetters(depth, config.DLQ_ALERT_THRESHOLD),
  };
}

/** How old a message of this queue may be before somebody should look. */
function maxAgeSeconds(queue: string, config: Config): number {
  switch (queue) {
    case "jobs-long":
      return config.HEALTH_MAX_LONG_QUEUE_AGE_SECONDS;
    case "webhooks":
      return config.HEALTH_MAX_WEBHOOK_QUEUE_AGE_SECONDS;
    default:
      return config.HEALTH_MAX_QUEUE_AGE_SECONDS;
  }
}
