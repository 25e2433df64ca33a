import { z } from "zod";

import { ErrorCode, JobResult, JobStatus, Tier } from "./job.ts";

const Envelope = { job_id: z.string(), seq: z.int().min(1), at: z.iso.datetime() };

export const JobEvent = z
  .discriminatedUnion("type", [
    z.object({
      type: z.literal("queued"),
      ...Envelope,
      priority: Tier,
      run_at: z.iso.datetime().optional(),
    }),
    z.object({
      type: z.literal("started"),
      ...Envelope,
      attempt: z.int(),
      model: z.string(),
      provider: z.string(),
    }),
    z.object({
      type: z.literal("progress"),
      ...Envelope,
      progress: z.int().min(0).max(100),
      step: z.string(),
    }),
    z.object({
      type: z.literal("step_started"),
      ...Envelope,
      step: z.string(),
      index: z.int().min(0),
      request_id: z
        .string()
        .optional()
        .meta({ description: "Of an approval: names it in its answer." }),
      message: z.string().optional().meta({ description: "Of an approval: what is asked." }),
      expires_at: z.iso.datetime().optional(),
    }),
    z.object({
      type: z.literal("step_completed"),
      ...Envelope,
      step: z.string(),
      index: z.int().min(0),
      attempt: z
        .int()
        .nullable()
        .meta({ description: "Whose text is its output. Null: it took none." }),
      output_bytes: z.int().min(0),
      output: z.string().optional().meta({ description: "Of an approval: its answer." }),
      carried: z
        .literal(true)
        .optional()
        .meta({ description: "The job that this one repeats has finished it." }),
    }),
    z.object({ type: z.literal("delta"), ...Envelope, delta: z.string(), attempt: z.int() }),
    z.object({
      type: z.literal("attempt_failed"),
      ...Envelope,
      attempt: z.int(),
      error: z.string(),
      error_code: ErrorCode,
      retry_at: z.iso.datetime().nullable(),
    }),
    z.object({
      type: z.literal("completed"),
      ...Envelope,
      result: JobResult,
      completed_at: z.iso.datetime(),
    }),
    z.object({
      type: z.literal("failed"),
      ...Envelope,
      error: z.string(),
      error_code: ErrorCode,
      attempts: z.int(),
    }),
    z.object({ type: z.literal("cancelled"), ...Envelope, reason: z.string() }),
  ])
  .meta({
    id: "JobEvent",
    description:
      "One fact of a job's log. `seq` counts from 1 without gaps and is the same for every reader.",
  });
export type JobEvent = z.infer<typeof JobEvent>;

/** The unnumbered first frame of an event stream: where the job stands as the reader arrives. */
export const Connected = z
  .object({
    type: z.literal("connected"),
    job_id: z.string(),
    status: JobStatus,
    last_seq: z.int(),
  })
  .meta({ id: "Connected" });
export type Connected = z.infer<typeof Connected>;

/** A page of a job's log. The next one is after the `seq` of its last event. */
export const EventPage = z
  .object({
    job_id: z.string(),
    status: JobStatus,
    last_seq: z.int(),
    has_more: z.boolean(),
    events: z.array(JobEvent),
  })
  .meta({ id: "EventPage" });
export type EventPage = z.infer<typeof EventPage>;
