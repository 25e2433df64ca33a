import type { DeadLetter } from "../../src/domain/dead-letter.ts";

/** The dead letter `dlq_on` of a job of everybody's tenant, which asked for this and was too late. */
export function givenUp(request: { prompt: string; model?: string }): DeadLetter {
  return {
    dlqId: "dlq_on",
    jobId: "given-up",
    tenant: "dev",
    tier: "default",
    model: "gpt-4o",
    provider: "openai",
    error: "Late",
    errorCode: "timeout",
    submittedAt: 1,
    failedAt: 2,
    attempts: [
      {
        attempt: 1,
        model: "gpt-4o",
        provider: "openai",
        status: "failed",
        started_at: "2026-11-01T12:00:00.000Z",
        ended_at: "2026-11-01T12:00:01.000Z",
        usage: null,
        cost_usd: null,
        error: "Late",
        error_code: "timeout",
        timings: { ttft_ms: null, provider_ms: 1_000 },
      },
    ],
    request: { priority: 5, ...request },
  };
}
