import { z } from "zod";

/** What rides a queue: the object's name and nothing else. The job itself is the truth, the message its doorbell. */
export const Doorbell = z.object({ job: z.string().min(1).max(128) });
export type Doorbell = z.infer<typeof Doorbell>;

/**
 * The same for what a job owes its webhook. `gate`: of the receiver's origin, so that it can be asked before the job.
 * `delivery`: the one that was given up, on its way to the dead-letter queue.
 */
export const DeliveryNotice = Doorbell.extend({
  gate: z.string().min(1).max(128),
  delivery: z.string().max(128).optional(),
});
export type DeliveryNotice = z.infer<typeof DeliveryNotice>;
