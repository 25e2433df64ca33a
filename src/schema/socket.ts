import { z } from "zod";

const JobIdText = z.string().min(1).max(64);

/** What a client says on a socket that follows many jobs. */
export const SocketMessage = z
  .discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("subscribe"),
      job_id: JobIdText,
      after: z.int().min(0).optional(),
    }),
    z.strictObject({ type: z.literal("unsubscribe"), job_id: JobIdText }),
  ])
  .meta({ id: "SocketMessage" });
export type SocketMessage = z.infer<typeof SocketMessage>;

/** What such a socket is told besides the jobs' events. */
export type SocketNote =
  | { type: "subscribed"; job_id: string }
  | { type: "unsubscribed"; job_id: string }
  | { type: "error"; job_id?: string; message: string };
