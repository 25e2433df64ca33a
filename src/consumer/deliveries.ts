import type { Config } from "../settings/config.ts";
import type { DeliveryOutcome } from "../domain/delivery.ts";
import { webhookUrlFault } from "../domain/webhook-url.ts";
import { tenantName } from "../ids.ts";
import type { JobRpc, NextDelivery, Owed, Settlement } from "../job/job-rpc.ts";
import { jobNamed } from "../job/job-stub.ts";
import type { NextBatchDelivery, OwedByBatch } from "../ledgers/batch-rpc.ts";
import { batchNamed } from "../ledgers/batch-stub.ts";
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

/** Whoever owes a webhook something. */
export type Ower = {
  nextDelivery(token: string, forMs: number): Promise<NextDelivery | NextBatchDelivery>;
} & Pick<JobRpc, "settleDelivery" | "deliveries">;

type DeliveryPorts = Reachable<Ower> & { gate: string; env: Env; config: Config };

/** The object that a notice is about. */
export function owerNamed(env: Env, name: string, of: DeliveryNotice["of"]): Ower {
  return of === "batch" ? batchNamed(env, name) : jobNamed(env, name);
}

/** How long the object is asked what it owes; and told what came of it, for the receiver cannot be made to forget. */
const ASKING_MS = 1_500;
const TELLING_MS = 20_000;

/** How long a message itself waits for its turn: no longer than the object takes to tell again (domain/retry.ts). */
const MESSAGE_WAITS_SECONDS = 20;

/** When something of ours fails. By then the object may have given the delivery free. */
const BROKEN_WAIT_SECONDS = 20;

/**
 * Delivers what a job or a batch owes its webhook and is due, in order, each under a pass of the receiver's gate.
 *
 * Holds no policy: the object decides what is next and what an outcome means, the gate who has to wait. Never throws.
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
 * A short wait is the message's. A long one is left to the object, whose alarm tells of the delivery again: messages that
 * wait beside that would grow in number with every round.
 */
function waitFor(delaySeconds: number): Settlement {
  return delaySeconds > MESSAGE_WAITS_SECONDS ? { type: "ack" } : { type: "retry", delaySeconds };
}

async function deliverUnder(pass: string, ports: DeliveryPorts): Promise<Settlement | null> {
  let latencyMs: number | null = null;
  try {
    const limitMs = ports.config.WEBHOOK_TIMEOUT_MS;
    const owed = await reach(ports, ASKING_MS, (ower) => ower.nextDelivery(pass, limitMs));
    if (owed === null) return { type: "retry", delaySeconds: BROKEN_WAIT_SECONDS };
    if (owed.type === "none") return { type: "ack" };
    const { outcome, isSent } = await attempt(owed, ports);
    if (isSent) ({ latencyMs } = outcome);
    logDelivery(owed, outcome);
    const more = await reach(ports, TELLING_MS, (ower) =>
      ower.settleDelivery(pass, owed.deliveryId, outcome),
    );
    return more === true ? null : { type: "ack" };
  } finally {
    await gateNamed(ports.env, ports.gate).leave(pass, latencyMs);
  }
}

type Attempted = { outcome: DeliveryOutcome; isSent: boolean };

/** Checked again, for the rules may be others than at submission. */
async function attempt(owed: Owed | OwedByBatch, ports: DeliveryPorts): Promise<Attempted> {
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

/** The last stop of what could not be delivered: the operator's log and statistics say so. Its object keeps it, to be replayed. */
export async function reportUndelivered(notices: Notice[], env: Env): Promise<void> {
  await Promise.all(notices.map((notice) => report(notice, env)));
}

async function report({ job, of, delivery, message }: Notice, env: Env): Promise<void> {
  // The queue itself gave this message up. The delivery has not been: the object's alarm tells of it again.
  if (delivery === undefined) {
    logFault("delivery.message_given_up", { object: job });
    return message.ack();
  }
  try {
    const found = await owerNamed(env, job, of).deliveries();
    const deliveries = found.type === "found" ? found.value : [];
    const given = deliveries.find(({ delivery_id }) => delivery_id === delivery);
    logUndelivered(job, delivery, given?.attempts.at(-1)?.status ?? null);
    await tellStats(env, { type: "undelivered", job });
    message.ack();
  } catch (error) {
    logFault("job.unreachable", { object: job }, error);
    message.retry();
  }
}
