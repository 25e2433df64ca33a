import type { Config } from "./settings/config.ts";
import {
  checkDeadLetters,
  checkProvider,
  checkQueue,
  type Checks,
  type Readings,
} from "./domain/health.ts";
import { deadLetterDepth } from "./ledgers/dead-letter-depth.ts";
import { reportProviders } from "./ledgers/provider-reports.ts";
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
  const checks = checkReadings(await readAll(env, config), config);
  memory = { checks, at: Date.now() };
  begunAt = -Infinity;
  return checks;
}

/** Asks all at once. Never rejects, and takes two seconds at most: what does not answer is told as unknown. */
export async function readAll(env: Env, config: Config): Promise<Readings> {
  const [queues, deadLetters, providers] = await Promise.all([
    reportQueues(env),
    deadLetterDepth(env),
    reportProviders(env, config),
  ]);
  return { queues, deadLetters, providers };
}

/** What these readings mean. */
export function checkReadings(
  { queues, deadLetters, providers }: Readings,
  config: Config,
): Checks {
  const now = Date.now();
  const { DLQ_ALERT_THRESHOLD, HEALTH_MAX_PARKED_AGE_SECONDS } = config;
  const checks = [
    ...queues.map((report) => {
      return [report.queue, checkQueue(report, maxAgeSeconds(report.queue, config), now)];
    }),
    ["dead_letters", checkDeadLetters(deadLetters, DLQ_ALERT_THRESHOLD)],
    ...providers.map((report) => {
      const check = checkProvider(report, HEALTH_MAX_PARKED_AGE_SECONDS, now);
      return [`provider_${report.provider}`, check];
    }),
  ];
  return Object.fromEntries(checks) as Checks;
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
