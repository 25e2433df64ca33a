import { z } from "zod";

import { Usage } from "./chat.ts";
import { ErrorCode } from "./job.ts";
import { Step } from "./step.ts";

const Instant = z.iso.datetime();

export const StepStatus = z
  .enum(["pending", "active", "waiting", "completed", "failed", "cancelled", "skipped"])
  .meta({
    id: "StepStatus",
    description: "`waiting`: for somebody's answer. `skipped`: the job ended before it.",
  });
export type StepStatus = z.infer<typeof StepStatus>;

/** A job's step, as its owner sees it. */
export const StepView = z
  .object({
    name: z.string(),
    type: z.enum(Step.options.map(({ shape }) => shape.type.value)),
    weight: z.int(),
    status: StepStatus,
    attempts: z.int().meta({ description: "How many were made at it by this job." }),
    started_at: Instant.nullable(),
    completed_at: Instant.nullable(),
    output: z.string().optional().meta({ description: "Up to 20 KB." }),
    output_bytes: z.int().optional(),
    truncated: z.literal(true).optional().meta({
      description:
        "The output is longer than is shown; it is in the events of the job that made it.",
    }),
    carried: z.literal(true).optional().meta({
      description: "The job that this one repeats has finished it.",
    }),
    model: z.string().optional(),
    usage: Usage.nullable().optional(),
    cost_usd: z.number().optional().meta({ description: "All its calls, those for nothing too." }),
    error: z.string().optional(),
    error_code: ErrorCode.optional(),
    request_id: z.string().optional().meta({ description: "Of an approval: names what is asked." }),
  })
  .meta({ id: "StepView" });
export type StepView = z.infer<typeof StepView>;

export const StepList = z
  .object({ job_id: z.string(), steps: z.array(StepView) })
  .meta({ id: "StepList" });

/** An answer to what a job waits for. */
export const JobInput = z
  .strictObject({
    request_id: z.string().min(1).max(200).meta({ description: "As `waiting_for` tells it." }),
    approved: z.boolean().meta({ description: "False cancels the job." }),
    comment: z.string().max(2_000).optional(),
    data: z.unknown().optional().meta({
      description: "Any JSON value, for the steps that follow: `{{steps.<name>.json.data.…}}`.",
    }),
  })
  .meta({
    id: "JobInput",
    example: { request_id: "input_Zm9yIGV4YW1wbGUgb25seQ_2", approved: true, comment: "Go on" },
  });
export type JobInput = z.infer<typeof JobInput>;
