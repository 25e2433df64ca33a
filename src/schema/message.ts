import { z } from "zod";

/**
 * What a job needs before it may be attempted: permission of the provider it calls, for about so many tokens. `since`:
 * epoch milliseconds from which its next attempt has been due. `lastsMs`: after so long that is over, however it goes; a job
 * of an older version does not say, nor its priority. `rung`: its provider has sent the message, and reserved a permit for it.
 */
export const Needs = z.object({
  provider: z.string().min(1).max(64),
  tenant: z.string().min(1).max(256),
  tokens: z.int().min(0),
  since: z.int().min(0),
  lastsMs: z.int().min(0).optional(),
  priority: z.int().min(1).max(10).optional(),
  rung: z.boolean().optional(),
});
export type Needs = z.infer<typeof Needs>;

/**
 * What rides a queue: the object's name. The job itself is the truth, the message its doorbell. `needs` spares asking the
 * job; it may be out of date, and one that makes no sense is as good as none.
 */
export const Doorbell = z.object({
  job: z.string().min(1).max(128),
  needs: Needs.optional().catch(undefined),
});
export type Doorbell = z.infer<typeof Doorbell>;

/**
 * The same for what a job owes its webhook. `gate`: of the receiver's origin, so that it can be asked before the job.
 * `delivery`: the one that was given up, on its way to the dead-letter queue.
 */
export const DeliveryNotice = Doorbell.pick({ job: true }).extend({
  gate: z.string().min(1).max(128),
  delivery: z.string().max(128).optional(),
});
export type DeliveryNotice = z.infer<typeof DeliveryNotice>;
