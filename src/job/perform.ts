import type { Departure } from "./departure.ts";
import type { Effect } from "../domain/command.ts";
import { wakeAt, type Job } from "../domain/job.ts";
import { needsOf } from "./grant.ts";
import { logFault } from "../log.ts";
import { providerNamed } from "../ledgers/provider-stub.ts";
import { ringLater, tellLater } from "../queues.ts";

/** Does what is to be done once a job is stored. Nobody waits for it: the job's alarm does again what is lost. */
export function perform(
  effect: Effect,
  job: Job,
  ctx: DurableObjectState,
  env: Env,
  departure: Departure,
): void {
  switch (effect.type) {
    case "ring":
      return ringLater(ctx, env, job.spec.lane, needsOf(job));
    case "dead_letter":
      return ringLater(ctx, env, "dead_letter");
    case "deliver":
      return tellLater(ctx, env, "webhook", job);
    case "undelivered":
      return tellLater(ctx, env, "webhook_dead_letter", job, effect.deliveryId);
    case "withdraw":
      return ctx.waitUntil(withdraw(env, ctx.id.name ?? "", job, effect));
    case "purge":
      return ctx.waitUntil(departure.purge(job, wakeAt(job)));
    case "forget":
      return ctx.waitUntil(departure.leave(job));
  }
}

type Withdrawal = Extract<Effect, { type: "withdraw" }>;

/** Never rejects: where it is lost, the job's turn comes and is not used. */
async function withdraw(
  env: Env,
  name: string,
  job: Job,
  { provider, since }: Withdrawal,
): Promise<void> {
  const { lane, tenant, priorityLevel: priority } = job.spec;
  try {
    await providerNamed(env, provider).withdraw({ job: name, lane, tenant, priority, since });
  } catch (error) {
    logFault("provider.unreachable", { provider }, error);
  }
}
