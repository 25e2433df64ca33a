import { LANES, type Lane } from "./domain/lane.ts";
import type { Backlog, QueueReport } from "./domain/health.ts";
import type { Job } from "./domain/job.ts";
import { logFault } from "./log.ts";
import type { DeliveryNotice, Doorbell, Needs } from "./schema/message.ts";
import { within } from "./within.ts";

/** The queue of a lane. */
function laneQueue(env: Env, lane: Lane): Queue<Doorbell> {
  switch (lane) {
    case "high":
      return env.LANE_HIGH;
    case "normal":
      return env.LANE_NORMAL;
    case "low":
      return env.LANE_LOW;
    case "long":
      return env.LANE_LONG;
  }
}

const DEAD_LETTER = "dead_letter";
/** Where a job's own messages go. */
type JobDestination = Lane | typeof DEAD_LETTER;
/** Where what it owes its webhook is told. */
type WebhookDestination = "webhook" | "webhook_dead_letter";
export type Destination = JobDestination | WebhookDestination;

/** What a queue is for, by its name, to which a deployment may add; null if it is none of ours. */
export function destinationOf(queue: string): Destination | null {
  if (queue.includes("webhooks-dead-letter")) return "webhook_dead_letter";
  if (queue.includes("webhooks")) return "webhook";
  if (queue.includes("jobs-dead-letter")) return DEAD_LETTER;
  return LANES.find((lane) => queue.includes(`jobs-${lane}`)) ?? null;
}

/** How long a queue may take to say how it is, in milliseconds. */
const REPORT_WITHIN_MS = 2_000;

/** How each of our queues is. Never rejects: one that does not answer in time is unreachable. */
export function reportQueues(env: Env): Promise<QueueReport[]> {
  const lanes = LANES.map((lane) => report(`jobs-${lane}`, laneQueue(env, lane)));
  return Promise.all([
    ...lanes,
    report("jobs-dead-letter", env.DEAD_LETTERS),
    report("webhooks", env.WEBHOOKS),
    report("webhooks-dead-letter", env.WEBHOOK_DEAD_LETTERS),
  ]);
}

async function report(queue: string, binding: Queue): Promise<QueueReport> {
  try {
    const metrics = await within(REPORT_WITHIN_MS, binding.metrics());
    return { queue, backlog: backlogIn(metrics) };
  } catch {
    return { queue, backlog: null };
  }
}

/** An unknown age comes as none or as the beginning of time. */
function backlogIn({ backlogCount, backlogBytes, oldestMessageTimestamp }: QueueMetrics): Backlog {
  const oldestAt = oldestMessageTimestamp?.getTime() ?? 0;
  return {
    messages: backlogCount,
    bytes: backlogBytes,
    oldestAt: oldestAt === 0 ? null : oldestAt,
  };
}

/** How many messages are in a lane's queue. Rejects if it does not say. */
export async function messagesIn(env: Env, lane: Lane): Promise<number> {
  return (await laneQueue(env, lane).metrics()).backlogCount;
}

/** Sends a job's message, at once or after `delaySeconds`. Never rejects: one that is lost is sent again by the job's alarm. */
export async function ring(
  env: Env,
  to: JobDestination,
  doorbell: Doorbell,
  delaySeconds = 0,
): Promise<void> {
  try {
    const queue = to === DEAD_LETTER ? env.DEAD_LETTERS : laneQueue(env, to);
    await queue.send(doorbell, { delaySeconds });
  } catch (error) {
    logFault("message.unsent", { object: doorbell.job }, error);
  }
}

/** Messages that are sent together, at most (platform limit). */
const MOST_TOGETHER = 100;

/** The same for many jobs of a lane. */
export async function ringAll(env: Env, lane: Lane, doorbells: Doorbell[]): Promise<void> {
  const [first, ...others] = doorbells;
  if (first !== undefined && others.length === 0) return ring(env, lane, first);
  for (let from = 0; from < doorbells.length; from += MOST_TOGETHER) {
    const together = doorbells.slice(from, from + MOST_TOGETHER);
    try {
      await laneQueue(env, lane).sendBatch(together.map((body) => ({ body })));
    } catch (error) {
      for (const { job } of together) logFault("message.unsent", { object: job }, error);
    }
  }
}

/** The same from a job's object. Not awaited: the job is stored already, and its alarm sends again what is lost. */
export function ringLater(
  ctx: DurableObjectState,
  env: Env,
  to: JobDestination,
  needs: Needs | null = null,
): void {
  const job = ctx.id.name ?? "";
  ctx.waitUntil(ring(env, to, needs === null ? { job } : { job, needs }));
}

/** Tells of what a job owes its webhook, at once or after `delaySeconds`. Never rejects: the job's alarm tells again. */
export async function tell(
  env: Env,
  to: WebhookDestination,
  notice: DeliveryNotice,
  delaySeconds = 0,
): Promise<void> {
  try {
    const queue = to === "webhook" ? env.WEBHOOKS : env.WEBHOOK_DEAD_LETTERS;
    await queue.send(notice, { delaySeconds });
  } catch (error) {
    logFault("message.unsent", { object: notice.job }, error);
  }
}

/** The same from a job's object. */
export function tellLater(
  ctx: DurableObjectState,
  env: Env,
  to: WebhookDestination,
  { spec: { webhook } }: Pick<Job, "spec">,
  delivery?: string,
): void {
  if (webhook === undefined) return;
  const notice = { job: ctx.id.name ?? "", gate: webhook.gate };
  ctx.waitUntil(tell(env, to, delivery === undefined ? notice : { ...notice, delivery }));
}
