import { z } from "zod";

/** What rides a queue: the object's name and nothing else. The job itself is the truth, the message its doorbell. */
export const Doorbell = z.object({ job: z.string().min(1).max(128) });
export type Doorbell = z.infer<typeof Doorbell>;
