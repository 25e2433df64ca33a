import type { Config } from "../settings/config.ts";
import type { DeliveryOutcome } from "../domain/delivery.ts";
import { webhookUrlFault } from "../domain/webhook-url.ts";
import { tenantName } from "../ids.ts";
import type { Owed, Settlement } from "../job/job-rpc.ts";
import { jobNamed } from "../job/job-stub.ts";
import { gateNamed } from "../ledgers/gate-stub.ts";
import { tellStats } from "../ledgers/stats-stub.ts";
import { tenantNamed } from "../ledgers/tenant-stub.ts";
import { logDelivery, logFault, logUndelivered } from "../log.ts";
import { reach, type Reachable } from "./reach.ts";
import { webhookUrlRules } from "../submit/plan-webhook.ts";
import type { DeliveryNotice } from "../schema/message.ts";
import { openHeaders } from "../secrets/sealed-headers.ts";
import { attemptDelivery } from "../webhook.ts";

/** A message of the webhooks' queues. */
type Notice = DeliveryNotice & { message: Pick<Message, "ack" | "retry"> };

type DeliveryPorts = Reachable & { gate: string; env: Env; config: Config };

/** How long the job is asked what it owes; and told what came of it, for the receiver cannot be made to forget. */
const ASKING_MS = 1_500;
const TELLING_MS = 20_000;

/** How long a message itself waits for its turn: no longer than the job takes to tell again (domain/retry.ts). */
const MESSAGE_WAITS_SECONDS = 20;

/** When something of ours fails. By then the job may have given the delivery free. */
const BROKEN_WAIT_SECONDS = 20;

/**
 * Delivers what a job owes its webhook and is due, in order, each under a pass of the receiver's gate.
 *
 * Holds no policy: the job decides what is next and what an outcome means, the gate who has to wait. Never throws.
 */
export async function deliverOwed(ports: DeliveryPorts): Promise<Settlement> {
  for (;;) {
    const done = await deliverNext(ports);
    if (done !== null) return done;
  }
}

/** Null: there may be more. */
async function deliverNext(ports: DeliveryPorts): Promise<Settlement | null> {
  const pass = crypto.randomUUID();
  try {
    const turn = await gateNamed(ports.env, ports.gate).enter(pass);
    if (turn.type === "wait") return waitFor(turn.delaySeconds);
    return await deliverUnder(pass, ports);
  } catch (error) {
    logFault("delivery.broken", { object: ports.name }, error);
    return { type: "retry", delaySeconds: BROKEN_WAIT_SECONDS };
  }
}

/**
 * A short wait is the message's. A long one is left to the job, whose alarm tells of the delivery again: messages that
 * wait beside that would grow in number with every round.
 */
function waitFor(delaySeconds: number): Settlement {
  return delaySeconds > MESSAGE_WAITS_SECONDS ? { type: "ack" } : { type: "retry", delaySeconds };
}

async function deliverUnder(pass: string, ports: DeliveryPorts): Promise<Settlement | null> {
  let latencyMs: number | null = null;
  try {
    const limitMs = ports.config.WEBHOOK_TIMEOUT_MS;
    const owed = await reach(ports, ASKING_MS, (job) => job.nextDelivery(pass, limitMs));
    if (owed === null) return { type: "retry", delaySeconds: BROKEN_WAIT_SECONDS };
    if (owed.type === "none") return { type: "ack" };
    const { outcome, isSent } = await attempt(owed, ports);
    if (isSent) ({ latencyMs } = outcome);
    logDelivery(owed, outcome);
    const more = await reach(ports, TELLING_MS, (job) =>
      job.settleDelivery(pass, owed.deliveryId, outcome),
    );
    return more === true ? null : { type: "ack" };
  } finally {
    await gateNamed(ports.env, ports.gate).leave(pass, latencyMs);
  }
}

type Attempted = { outcome: DeliveryOutcome; isSent: boolean };

/** Checked again, for the rules may be others than when the job was submitted. */
async function attempt(owed: Owed, ports: DeliveryPorts): Promise<Attempted> {
  const { env, config, now } = ports;
  const { tenant, webhook, deliveryId: id, body } = owed;
  const { url, submittedTo } = webhook;
  const fault = webhookUrlFault(url, webhookUrlRules(submittedTo, config));
  if (fault !== null) return unmade(`The URL is refused: ${fault}`);
  const [secrets, headers] = await Promise.all([
    tenantNamed(env, await tenantName(tenant)).webhookSecrets(),
    openHeaders(webhook.headers, tenant, config),
  ]);
  // Sealed under a root key that is not there: it may be put right within the schedule's three days.
  if (headers === null) return unmade("Its callback headers cannot be read");
  if (secrets === null) return unmade("Its webhook secret cannot be read");
  const { newest, older } = secrets;
  const delivery = { id, url, body, headers, secrets: [newest, ...older] } as const;
  const limitMs = config.WEBHOOK_TIMEOUT_MS;
  return { outcome: await attemptDelivery(delivery, { fetch, now, limitMs }), isSent: true };
}

/** Nothing was sent, and yet it counts: what stands against it may pass, or never. */
function unmade(error: string): Attempted {
  const nothing = { status: null, answer: "", latencyMs: 0, retryAfterMs: null };
  return { outcome: { type: "failed", error, ...nothing }, isSent: false };
}

/** The last stop of what could not be delivered: the operator's log and statistics say so. The job keeps it, to be replayed. */
export async function reportUndelivered(notices: Notice[], env: Env): Promise<void> {
  await Promise.all(notices.map((notice) => report(notice, env)));
}

async function report({ job, delivery, message }: Notice, env: Env): Promise<void> {
  // The queue itself gave this message up. The delivery has not been: the job's alarm tells of it again.
  if (delivery === undefined) {
    logFault("delivery.message_given_up", { object: job });
    return message.ack();
  }
  try {
    const found = await jobNamed(env, job).deliveries();
    const of = found.type === "found" ? found.value : [];
    const given = of.find(({ delivery_id }) => delivery_id === delivery);
    logUndelivered(job, delivery, given?.attempts.at(-1)?.status ?? null);
    await tellStats(env, { type: "undelivered", job });
    message.ack();
  } catch (error) {
    logFault("job.unreachable", { object: job }, error);
    message.retry();
  }
}
