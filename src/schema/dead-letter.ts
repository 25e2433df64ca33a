import { z } from "zod";

import { AttemptView, CreateJob, ErrorCode, Tier } from "./job.ts";

const Instant = z.iso.datetime();

const Listed = {
  dlq_id: z.string(),
  original_job_id: z.string(),
  error: z.string(),
  error_code: ErrorCode,
  fingerprint: z.string().meta({ description: "The same for all that failed in the same way." }),
  failed_at: Instant,
  attempts: z.int().meta({ description: "How many were made." }),
  model: z.string(),
  tenant: z.string(),
  prompt_preview: z.string().nullable().meta({
    description: "The first 100 characters; null where the deployment does not show them.",
  }),
};

const listedExample = {
  dlq_id: "dlq_Zm9yIGV4YW1wbGUgb25seQ",
  original_job_id: "test-123",
  error: "The provider is unavailable (HTTP 503)",
  error_code: "provider_unavailable" as const,
  fingerprint: "9c3a5e0f71b2d846",
  failed_at: "2026-11-01T12:00:08.164Z",
  attempts: 3,
  model: "gpt-4o",
  tenant: "acme",
  prompt_preview: "Why is the sky blue?",
};

/** A dead letter as lists show it. */
export const DeadLetterItem = z
  .object(Listed)
  .meta({ id: "DeadLetterItem", example: listedExample });
export type DeadLetterItem = z.infer<typeof DeadLetterItem>;

export const DeadLetterList = z
  .object({
    count: z.int().meta({ description: "On this page." }),
    total: z.int().meta({ description: "That fit the filters." }),
    jobs: z.array(DeadLetterItem),
    next_cursor: z.string().nullable(),
  })
  .meta({
    id: "DeadLetterList",
    example: { count: 1, total: 1, jobs: [listedExample], next_cursor: null },
  });
export type DeadLetterList = z.infer<typeof DeadLetterList>;

/** A dead letter in full. */
export const DeadLetterView = z
  .object({
    ...Listed,
    tier: Tier,
    provider: z.string().meta({ description: "Who served the last attempt." }),
    submitted_at: Instant,
    request: CreateJob,
    attempt_history: z.array(AttemptView),
  })
  .meta({ id: "DeadLetter" });
export type DeadLetterView = z.infer<typeof DeadLetterView>;

export const DeadLetterGroup = z
  .object({
    fingerprint: z.string(),
    error_code: ErrorCode,
    error: z.string(),
    provider: z.string(),
    count: z.int(),
    models: z.array(z.string()),
    tenants: z.int().meta({ description: "How many are concerned." }),
    first_failed_at: Instant,
    last_failed_at: Instant,
    sample_dlq_ids: z.array(z.string()).max(3),
  })
  .meta({ id: "DeadLetterGroup" });
export type DeadLetterGroup = z.infer<typeof DeadLetterGroup>;

export const DeadLetterGroups = z
  .object({ groups: z.array(DeadLetterGroup).meta({ description: "The largest first." }) })
  .meta({ id: "DeadLetterGroups" });

export const DeadLetterRetried = z
  .object({
    message: z.literal("Job resubmitted"),
    new_job_id: z.string(),
    original_job_id: z.string(),
  })
  .meta({
    id: "DeadLetterRetried",
    example: {
      message: "Job resubmitted",
      new_job_id: "job_Tm90IGEgcmVhbCBvbmU",
      original_job_id: "test-123",
    },
  });

/** The filters that the list, the groups and the operations share. */
const Filters = {
  error_code: ErrorCode.optional(),
  model: z.string().min(1).max(200).optional(),
  tenant: z.string().min(1).max(200).optional(),
  fingerprint: z.string().min(1).max(64).optional(),
};

export const DeadLetterFilters = z.strictObject(Filters);
export type DeadLetterFilters = z.infer<typeof DeadLetterFilters>;

export const DeadLetterQuery = z.strictObject({
  ...Filters,
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(64).optional().meta({
    description: "The `next_cursor` of the page before, with the same filters.",
  }),
});

const either = "exactly one of ids and filter is required";

/** Which letters, and how fast. */
export const DeadLetterSelection = z
  .strictObject({
    ids: z.array(z.string().min(1).max(128)).min(1).max(1_000).optional(),
    filter: z
      .strictObject({
        ...Filters,
        failed_before: z.iso.datetime({ offset: true }).optional().meta({
          description: "Those that failed earlier than this instant.",
          example: "2026-11-01T12:00:00Z",
        }),
      })
      .optional()
      .meta({ description: "An empty one takes them all." }),
    rate_per_second: z.int().min(1).max(1_000).optional().meta({ description: "Default 100." }),
  })
  .superRefine(({ ids, filter }, context) => {
    if ((ids === undefined) !== (filter === undefined)) return;
    context.addIssue({ code: "custom", path: [], message: either });
  })
  .meta({
    id: "DeadLetterSelection",
    description: either,
    example: { filter: { error_code: "provider_unavailable" }, rate_per_second: 50 },
  });
export type DeadLetterSelection = z.infer<typeof DeadLetterSelection>;

const Action = z.enum(["retry", "discard"]);

export const OperationAccepted = z
  .object({
    operation_id: z.string(),
    action: Action,
    matched: z.int().meta({ description: "Letters it will deal with." }),
    rate_per_second: z.int(),
    status_url: z.string(),
  })
  .meta({ id: "OperationAccepted" });

export const OperationView = z
  .object({
    operation_id: z.string(),
    action: Action,
    status: z.enum(["running", "done"]),
    matched: z.int(),
    done: z.int(),
    refused: z.int().meta({ description: "Letters that stay, for `errors` such as these." }),
    rate_per_second: z.int(),
    started_at: Instant,
    ended_at: Instant.nullable(),
    errors: z
      .array(z.object({ dlq_id: z.string(), detail: z.string() }))
      .max(5)
      .meta({ description: "The first few." }),
  })
  .meta({
    id: "Operation",
    example: {
      operation_id: "op_Tm90IGEgcmVhbCBvbmU",
      action: "retry",
      status: "running",
      matched: 10_000,
      done: 4_200,
      refused: 0,
      rate_per_second: 100,
      started_at: "2026-11-01T12:00:00.000Z",
      ended_at: null,
      errors: [],
    },
  });
export type OperationView = z.infer<typeof OperationView>;
