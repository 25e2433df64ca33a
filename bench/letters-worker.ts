import worker, { type Env } from "afterword";

import type { DeadLetter } from "../src/domain/dead-letter.ts";
import { promptFor } from "./prompt.ts";

export * from "afterword";

const ERRORS = [
  ["provider_unavailable", "The provider is unavailable (HTTP 503)"],
  ["rate_limited", "The provider's rate limit was hit (HTTP 429)"],
  ["timeout", "The provider timed out (headers)"],
] as const;

/** A letter as an outage leaves it: a hundred tenants, two models, three kinds of failure, a prompt of 1 kB. */
function letterOf(at: number): DeadLetter {
  const [errorCode, error] = ERRORS[at % ERRORS.length] ?? ERRORS[0];
  const failedAt = Date.now();
  const model = at % 2 === 0 ? "gpt-4o" : "gpt-4o-mini";
  const instant = new Date(failedAt).toISOString();
  return {
    dlqId: `dlq_${crypto.randomUUID()}`,
    jobId: `job-${at}`,
    tenant: `tenant-${at % 100}`,
    tier: "default",
    model,
    provider: "openai",
    error,
    errorCode,
    submittedAt: failedAt - 15_000,
    failedAt,
    attempts: [1, 2, 3].map((attempt) => ({
      attempt,
      model,
      provider: "openai",
      status: "failed",
      started_at: instant,
      ended_at: instant,
      usage: null,
      cost_usd: null,
      error,
      error_code: errorCode,
      timings: { ttft_ms: null, provider_ms: 1_000 },
    })),
    request: { prompt: `${promptFor({ tokens: 1 })} ${"x".repeat(1_000)}`, model },
  };
}

/** The product, unchanged, but that `POST /api/letters?from=&count=` adds letters in one call. */
export default {
  fetch: async (request: Request, env: Env, context: unknown): Promise<Response> => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/api/letters") return worker.fetch(request, env, context);
    const [from, count] = ["from", "count"].map((name) => Number(searchParams.get(name)));
    const letters = Array.from({ length: count ?? 0 }, (_, at) => letterOf((from ?? 0) + at));
    await env.LETTERS.getByName("dead-letters").add(letters);
    return new Response(null, { status: 204 });
  },
  queue: (...args: Parameters<typeof worker.queue>) => worker.queue(...args),
};
