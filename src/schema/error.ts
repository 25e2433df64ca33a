import { z } from "zod";

/** Every way the API refuses: its HTTP status and its human title. The one list both the wire and the document read. */
export const PROBLEMS = {
  "invalid-request": { status: 400, title: "Invalid request" },
  unauthorized: { status: 401, title: "Unauthorized" },
  "budget-exceeded": { status: 402, title: "Budget exceeded" },
  forbidden: { status: 403, title: "Forbidden" },
  "job-not-found": { status: 404, title: "Job not found" },
  "batch-not-found": { status: 404, title: "Batch not found" },
  "dead-letter-not-found": { status: 404, title: "Dead letter not found" },
  "delivery-not-found": { status: 404, title: "Delivery not found" },
  "provider-not-found": { status: 404, title: "Provider not found" },
  "operation-not-found": { status: 404, title: "Operation not found" },
  "tenant-not-found": { status: 404, title: "Tenant not found" },
  "key-not-found": { status: 404, title: "Key not found" },
  "not-found": { status: 404, title: "Not found" },
  "input-already-given": { status: 409, title: "Input already given" },
  "input-not-awaited": { status: 409, title: "Input not awaited" },
  "job-not-retryable": { status: 409, title: "Job not retryable" },
  "batch-cancelled": { status: 409, title: "Batch cancelled" },
  "tenant-exists": { status: 409, title: "Tenant exists" },
  "too-many-keys": { status: 409, title: "Too many keys" },
  "dead-letter-refused": { status: 409, title: "Dead letter refused" },
  "job-gone": { status: 410, title: "Job gone" },
  "batch-gone": { status: 410, title: "Batch gone" },
  "payload-too-large": { status: 413, title: "Payload too large" },
  "unsupported-media-type": { status: 415, title: "Unsupported media type" },
  "idempotency-key-reused": { status: 422, title: "Idempotency key reused" },
  "webhook-url-rejected": { status: 422, title: "Webhook URL rejected" },
  "step-url-rejected": { status: 422, title: "Step URL rejected" },
  "upgrade-required": { status: 426, title: "Upgrade required" },
  "too-many-requests": { status: 429, title: "Too many requests" },
  "headers-too-large": { status: 431, title: "Headers too large" },
  "internal-error": { status: 500, title: "Internal error" },
  unavailable: { status: 503, title: "Service unavailable" },
  "intake-paused": { status: 503, title: "Intake paused" },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

/** RFC 9457 problem details. `error` repeats the human line for clients that read only that. */
export const Problem = z
  .object({
    type: z.string().meta({ description: "A URI that names the kind of problem." }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
    request_id: z.string(),
    errors: z
      .array(
        z.object({
          pointer: z.string(),
          detail: z.string(),
          index: z.int().optional().meta({ description: "Of the item of a batch." }),
        }),
      )
      .optional(),
    error: z.string(),
  })
  .meta({
    id: "Problem",
    example: {
      type: "urn:afterword:problem:invalid-request",
      title: "Invalid request",
      status: 400,
      detail: "prompt is required",
      code: "invalid-request",
      request_id: "req_9f0c2a7be1d84c35",
      errors: [{ pointer: "/prompt", detail: "prompt is required" }],
      error: "prompt is required",
    },
  });
export type Problem = z.infer<typeof Problem>;
