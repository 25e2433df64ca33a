import { runAttempt } from "./attempt.ts";
import { ConfigError, configOf, type Config } from "./config.ts";
import { writeDeadLetters } from "./dead-letters.ts";
import type { Lane } from "./domain/lane.ts";
import type { Settlement } from "./job-rpc.ts";
import { jobNamed } from "./job-stub.ts";
import { logFault } from "./log.ts";
import { liveModel } from "./provider/call.ts";
import { destinationOf, ring } from "./queues.ts";
import { Doorbell } from "./schema/message.ts";

/** How long messages of a queue that is not ours wait: an hour, so that their redeliveries last for days. */
const MISCONFIGURED_WAIT_SECONDS = 3_600;

/**
 * The queues' consumer: attempts from the lanes, dead letters from their queue.
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
  const rung = batch.messages.flatMap((message) => {
    const doorbell = Doorbell.safeParse(message.body);
    if (doorbell.success) return { ...doorbell.data, message };
    refuse(message);
    return [];
  });
  if (destination === "dead_letter") return writeDeadLetters(rung, env);
  const answered = rung.map(({ message, ...doorbell }) =>
    answer(doorbell, destination, message, env, ctx),
  );
  await Promise.all(answered);
}

/** The part of a queue message that settles it. */
type Settleable = Pick<Message, "ack" | "retry">;

async function answer(
  doorbell: Doorbell,
  lane: Lane,
  message: Message,
  env: Env,
  ctx: ExecutionContext,
): Promise<void> {
  const config = readableConfig(env);
  // Nothing is lost: the job rings again by itself, and redelivery in the meantime would end in the dead letters.
  if (config === null) return message.ack();
  if (config.ATTEMPTS === "awaited") return attempt(doorbell.job, message, env, config);
  // The message is settled before the attempt ends, so what it should have waited for is sent anew.
  message.ack();
  ctx.waitUntil(attempt(doorbell.job, forwarding(lane, doorbell, env, ctx), env, config));
}

async function attempt(name: string, message: Settleable, env: Env, config: Config): Promise<void> {
  const model = liveModel(config);
  const job = () => jobNamed(env, name);
  settle(message, await runAttempt({ name, job, model, config, now: Date.now }));
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

/** A message already acknowledged: to retry it is to send it again. */
function forwarding(lane: Lane, doorbell: Doorbell, env: Env, ctx: ExecutionContext): Settleable {
  return {
    ack: () => {},
    retry: ({ delaySeconds = 0 } = {}) => ctx.waitUntil(ring(env, lane, doorbell, delaySeconds)),
  };
}

function refuse(message: Message): void {
  logFault("message.refused", { message_id: message.id });
  message.ack();
}
