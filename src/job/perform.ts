import type { Departure } from "./departure.ts";
import type { Effect } from "../domain/command.ts";
import { wakeAt, type Job } from "../domain/job.ts";
import { needsOf } from "./grant.ts";
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
      return tellLater(ctx, env, "webhook_dead_letter", job, { delivery: effect.deliveryId });
    case "purge":
      return ctx.waitUntil(departure.purge(job, wakeAt(job)));
    case "forget":
      return ctx.waitUntil(departure.leave(job));
  }
}
