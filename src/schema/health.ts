import { z } from "zod";

export const Health = z
  .object({
    status: z.enum(["ok", "degraded"]).meta({ description: "`ok` if every check is." }),
    queue: z.literal("llm-processing"),
    timestamp: z.iso.datetime(),
    checks: z.record(z.string(), z.string()).meta({
      description: "What was looked at, and `ok` or what is wrong with it, in plain words.",
    }),
  })
  .meta({
    id: "Health",
    example: {
      status: "degraded",
      queue: "llm-processing",
      timestamp: "2026-11-01T12:00:00.000Z",
      checks: {
        "jobs-high": "ok",
        "jobs-normal": "the oldest of 5120 messages is 412 s old, more than 300 s",
        "jobs-low": "ok",
        "jobs-long": "ok",
        "jobs-dead-letter": "ok",
        dead_letters: "ok",
        provider_openai: "paused, and 120 jobs wait",
        auth: "ok",
        intake: "ok",
        default_model: "ok",
      },
    },
  });
export type Health = z.infer<typeof Health>;
