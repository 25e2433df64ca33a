import { z } from "zod";

import { ChatMessage, ModelParams } from "./chat.ts";

/** A step's name stands in `{{steps.<name>.output}}`, where a dot parts one name from the next. */
const StepName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^.{}\p{Cc}]+$/u, "a step's name may hold no dot, brace or control character")
  .refine((name) => name.trim() === name, "a step's name may not begin or end with a space");

/** Most characters of a template. */
const Template = z.string().min(1).max(262_144);

const Common = {
  name: StepName,
  weight: z.int().min(0).max(1_000).optional().meta({
    description: "Its part of the progress. Default 1.",
  }),
};

const Tried = {
  max_attempts: z.int().min(1).max(10).optional().meta({ description: "Default: the job's." }),
  timeout_ms: z.int().min(1_000).max(600_000).optional().meta({
    description: "One attempt's limit. Default: the job's; `http` 30 000.",
  }),
};

export const LlmStep = z.strictObject({
  type: z.literal("llm"),
  ...Common,
  ...Tried,
  prompt: Template.optional(),
  messages: z.array(ChatMessage).min(1).max(2048).optional(),
  model: z.string().min(1).max(200).optional().meta({ description: "Default: the job's." }),
  params: ModelParams.optional().meta({ description: "Default: the job's." }),
  fallback_models: z.array(z.string().min(1).max(200)).max(4).optional(),
});
export type LlmStep = z.infer<typeof LlmStep>;

export const HttpStep = z.strictObject({
  type: z.literal("http"),
  ...Common,
  ...Tried,
  method: z.enum(["GET", "POST"]).optional().meta({ description: "Default GET." }),
  url: z.string().min(1).max(4_096).meta({
    description:
      "A template of the path and the query; the origin may not hold a reference. Rules: as for webhooks.",
  }),
  headers: z.record(z.string(), z.string()).optional().meta({
    description: "Write-only: the values are never shown again. Rules: as for `callback_headers`.",
  }),
  body: Template.optional().meta({ description: "A template of what is POSTed." }),
  content_type: z.string().min(1).max(100).optional().meta({
    description: "Of the body. Default `application/json`.",
  }),
  max_bytes: z.int().min(1).max(1_048_576).optional().meta({
    description: "A longer answer fails the step. Default 262 144.",
  }),
});
export type HttpStep = z.infer<typeof HttpStep>;

export const TemplateStep = z.strictObject({
  type: z.literal("template"),
  ...Common,
  template: Template,
});
export type TemplateStep = z.infer<typeof TemplateStep>;

export const ApprovalStep = z.strictObject({
  type: z.literal("approval"),
  ...Common,
  message: Template.optional().meta({ description: "A template of what is asked." }),
  expires_in_seconds: z.int().min(1).max(31_536_000).optional().meta({
    description: "Unanswered so long, the job fails with `expired`. Default: a year.",
  }),
});
export type ApprovalStep = z.infer<typeof ApprovalStep>;

/** One of a job's steps. Templates (Mustache) refer to `{{input.…}}`, `{{steps.<name>.output}}` and `{{steps.<name>.json.…}}`. */
export const Step = z
  .discriminatedUnion("type", [LlmStep, HttpStep, TemplateStep, ApprovalStep])
  .meta({ id: "Step", description: "One step of a job that has several." });
export type Step = z.infer<typeof Step>;

/** Most steps of one job. */
export const MAX_STEPS = 32;

/** As it is kept: the values of its headers are kept apart from it, sealed. */
export type KeptStep = Exclude<Step, HttpStep> | (Omit<HttpStep, "headers"> & { headers?: never });

/** Most bytes of the JSON of what an approval was answered. */
export const MAX_APPROVAL_BYTES = 32_768;

/** What a job that is at an approval waits for. */
export const WaitingFor = z
  .object({
    type: z.literal("approval"),
    step: z.string(),
    request_id: z.string().meta({ description: "Names what is asked, in its answer." }),
    message: z.string(),
    expires_at: z.iso.datetime(),
  })
  .meta({ description: "Somebody's answer, by `POST /api/jobs/:id/input`." });
