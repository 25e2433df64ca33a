import type { Listing, ListingPosition } from "../src/domain/listing.ts";
import { LISTING_SHARDS } from "../src/ids.ts";
import type { JobView } from "../src/schema/job.ts";

/** `count` of one shard's entries, of which `from` are newer. Instants are epoch milliseconds. */
export type Fill = { shard: number; from: number; count: number; newest: number };

const MODELS = ["gpt-4o", "gpt-4o-mini", "openai/o3", "anthropic/claude-sonnet-5"];

/** One in so many is cancelled, or asks for a model that nearly nobody asks for. */
const RARE = 5_000;
export const RARE_MODEL = "groq/llama-4";

/** A job every ten milliseconds: ten million are a day's. */
const EVERY_MS = 10;

export function entryAt({ shard, newest }: Fill, at: number): Listing {
  const nth = at * LISTING_SHARDS + shard;
  const status = nth % RARE === 7 ? "cancelled" : nth % 50 === 0 ? "failed" : "completed";
  const model = nth % RARE === 11 ? RARE_MODEL : (MODELS[nth % MODELS.length] ?? "");
  const { submittedAt, jobId } = positionAt(newest, nth);
  return { jobId, status, model, submittedAt, view: viewOf(jobId, status, model, submittedAt) };
}

/** Where the `nth` newest entry of all is. */
export function positionAt(newest: number, nth: number): ListingPosition {
  return {
    submittedAt: newest - nth * EVERY_MS,
    jobId: `job_bench-${String(nth).padStart(12, "0")}`,
  };
}

/** As a finished job's view is, of usual size. */
function viewOf(
  job_id: string,
  status: JobView["status"],
  model: string,
  submittedAt: number,
): JobView {
  const instant = (after: number) => new Date(submittedAt + after).toISOString();
  return {
    job_id,
    status,
    submitted_at: instant(0),
    model,
    provider: "openai",
    priority: "default",
    priority_level: 5,
    progress: 100,
    step: "Complete",
    attempts_made: 1,
    last_seq: 9,
    user: null,
    metadata: { page: "faq" },
    batch_id: null,
    replay_of: null,
    cost_usd: 0.0011,
    wasted_cost_usd: 0,
    started_at: instant(41),
    completed_at: instant(8_164),
    processing_time_ms: 8_123,
    timings: { queue_ms: 41, ttft_ms: 620, provider_ms: 7_700 },
    retained_until: "2999-01-01T00:00:00.000Z",
  };
}
