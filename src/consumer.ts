import type { z } from "zod";

import { runAttempts } from "./consumer/attempt.ts";
import { ConfigError, configOf, type Config } from "./settings/config.ts";
import { writeDeadLetters } from "./consumer/dead-letters.ts";
import { deliverOwed, reportUndelivered } from "./consumer/deliveries.ts";
import type { Settlement } from "./job/job-rpc.ts";
import { jobNamed } from "./job/job-stub.ts";
import { logFault } from "./log.ts";
import { permitsFor } from "./consumer/permits.ts";
import { liveModel } from "./provider/call.ts";
import { httpStepRunner } from "./consumer/http-step.ts";
import { workWith } from "./consumer/work.ts";
import { destinationOf, ring, tell } from "./queues.ts";
import type { Reachable } from "./consumer/reach.ts";
import { DeliveryNotice, Doorbell } from "./schema/message.ts";

/** How long messages of a queue that is not ours wait: an hour, so that their redeliveries last for days. */
const MISCONFIGURED_WAIT_SECONDS = 3_600;

/**
 * The queues' consumer: attempts from the lanes, deliveries, and what was given up of either.
 *
 * Never throws, for a throw would redeliver messages that are already settled. What a message means is
 * the job's to say; one that makes no sense is acknowledged and logged, so it blocks nobody.
 */
export async function consume(batch: MessageBatch, env: Env, ctx: ExecutionContext): Promise<void> {
  const destination = destinationOf(batch.queue);
  if (destination === null) {
    // A queue we do not know is a deployment's mistake; its messages wait until that is mended.
    logFault("queue.unknown", { queue: batch.queue });
    return batch.retryAll({ delaySeconds: MISCONFIGURED_WAIT_SECONDS });
  }
  switch (destination) {
    case "dead_letter":
      return writeDeadLetters(readable(batch, Doorbell), env);
    case "webhook_dead_letter":
      return reportUndelivered(readable(batch, DeliveryNotice), env);
    case "webhook":
      return answerAll(readable(batch, DeliveryNotice), env, ctx, {
        work: ({ job, gate }, config) => deliverOwed({ ...reachable(env, job), gate, env, config }),
        again: ({ job, gate }, delay) => tell(env, destination, { job, gate }, delay),
      });
    default:
      return answerAll(readable(batch, Doorbell), env, ctx, {
        work: ({ job, message, ...told }, config) => {
          const permits = permitsFor(env, job, destination);
          const work = workWith(
            liveModel(config),
            httpStepRunner({ config, fetch, now: Date.now }),
          );
          // A message that comes again says what its job needed when it was sent; by now that may be another provider.
          const needs = message.attempts > 1 ? null : (told.needs ?? null);
          return runAttempts({ ...reachable(env, job), work, config, permits, needs });
        },
        again: ({ job }, delay) => ring(env, destination, { job }, delay),
      });
  }
}

/** The part of a queue message that settles it, and how often it was delivered. */
type Delivered = Pick<Message, "ack" | "retry" | "attempts">;
type Settleable = Pick<Delivered, "ack" | "retry">;

/** What a kind of message is answered with: its work, and how it is sent once more. */
type Answer<T> = {
  work: (asked: T & { message: Delivered }, config: Config) => Promise<Settlement>;
  again: (asked: T, delaySeconds: number) => Promise<void>;
};

/** The messages that make sense. The others are acknowledged and logged, so they block nobody. */
function readable<T extends object>(
  batch: MessageBatch,
  schema: z.ZodType<T>,
): (T & { message: Delivered })[] {
  return batch.messages.flatMap((message) => {
    const asked = schema.safeParse(message.body);
    if (asked.success) return { ...asked.data, message };
    logFault("message.refused", { message_id: message.id });
    message.ack();
    return [];
  });
}

async function answerAll<T extends { message: Delivered }>(
  asked: T[],
  env: Env,
  ctx: ExecutionContext,
  answer: Answer<T>,
): Promise<void> {
  await Promise.all(asked.map((one) => answerOne(one, env, ctx, answer)));
}

async function answerOne<T extends { message: Delivered }>(
  asked: T,
  env: Env,
  ctx: ExecutionContext,
  { work, again }: Answer<T>,
): Promise<void> {
  const { message } = asked;
  const config = readableConfig(env);
  // Nothing is lost: the job rings again by itself, and redelivery in the meantime would end in the dead letters.
  if (config === null) return message.ack();
  if (config.ATTEMPTS === "awaited") return settle(message, await work(asked, config));
  // The message is settled before the work ends, so what it should have waited for is sent anew.
  message.ack();
  const retry: Settleable["retry"] = ({ delaySeconds = 0 } = {}) =>
    ctx.waitUntil(again(asked, delaySeconds));
  const settled = work(asked, config).then((told) => settle({ ack: () => {}, retry }, told));
  ctx.waitUntil(settled);
}

function reachable(env: Env, name: string): Reachable {
  return { name, job: () => jobNamed(env, name), now: Date.now };
}

/** Null where a setting is wrong: the next deploy mends it, and the job waits for that. */
function readableConfig(env: Env): Config | null {
  try {
    return configOf(env);
  } catch (error) {
    const setting = error instanceof ConfigError ? error.message : undefined;
    console.error(JSON.stringify({ event: "config.wrong", setting }));
    return null;
  }
}

function settle(message: Settleable, settlement: Settlement): void {
  if (settlement.type === "ack") message.ack();
  else message.retry({ delaySeconds: settlement.delaySeconds });
}
