import { describe, expect, it } from "vitest";

import { newestFirst, type ListingKey, type StoredListing } from "../../src/domain/listing.ts";
import type { Found } from "../../src/job/job-rpc.ts";
import type { ListingRpc } from "../../src/ledgers/listing-rpc.ts";
import { listJobs, type ListingFilter, type ListingPorts } from "../../src/http/list-jobs.ts";
import type { JobStatus, JobView } from "../../src/schema/job.ts";

const ALL: ListingFilter = { status: null, model: null, createdAfter: null };

function viewOf(jobId: string, submittedAt: number, status: JobStatus): JobView {
  return {
    job_id: jobId,
    status,
    submitted_at: new Date(submittedAt).toISOString(),
    model: "gpt-4o",
    provider: "openai",
    priority: "default",
    priority_level: 5,
    progress: 0,
    step: null,
    attempts_made: 0,
    last_seq: 1,
    user: null,
    metadata: {},
    batch_id: null,
    replay_of: null,
    cost_usd: null,
    wasted_cost_usd: 0,
  };
}

/** A tenant whose jobs are open in the list, newest last, and say what they are only when they are asked. */
class Tenant {
  readonly discarded: string[] = [];
  asked = 0;
  readonly #entries: StoredListing[];
  readonly #answers: (Found<JobView> | Error)[];

  constructor(answers: (JobStatus | "unknown" | "gone" | Error)[]) {
    this.#answers = answers.map((answer, at) => {
      if (answer instanceof Error) return answer;
      if (answer === "unknown" || answer === "gone") return { type: answer };
      return { type: "found", value: viewOf(`job-${at}`, at, answer) };
    });
    this.#entries = answers.map((_, at) => ({
      jobId: `job-${at}`,
      status: "open",
      model: "gpt-4o",
      submittedAt: at,
      json: JSON.stringify(viewOf(`job-${at}`, at, "queued")),
    }));
  }

  page(filter: Partial<ListingFilter>, from: number | null, limit: number) {
    const before = from === null ? null : { submittedAt: from, jobId: `job-${from}` };
    return listJobs({ ...ALL, ...filter }, before, limit, this.#ports());
  }

  #ports(): ListingPorts {
    return {
      shards: [this.#shard(0), this.#shard(1)],
      glance: (id) => this.#glance(id),
      now: () => 0,
      discard: (_shard, { jobId }: ListingKey) => void this.discarded.push(jobId),
    };
  }

  #shard(shard: number): ListingRpc {
    return {
      put: () => Promise.reject(new Error("a list is only read")),
      remove: () => Promise.reject(new Error("a list is only read")),
      list: ({ before, limit }) => {
        const held = this.#entries
          .filter((_, at) => at % 2 === shard)
          .filter((entry) => before === null || newestFirst(before, entry) < 0);
        return Promise.resolve(held.toSorted(newestFirst).slice(0, limit));
      },
    };
  }

  #glance(id: string): Promise<Found<JobView>> {
    this.asked += 1;
    const answer = this.#answers[Number(id.slice("job-".length))];
    if (answer === undefined || answer instanceof Error) return Promise.reject(answer);
    return Promise.resolve(answer);
  }
}

describe("a page of jobs", () => {
  it("shows a job that does not answer as it was last heard of", async () => {
    const tenant = new Tenant(["active", new Error("overloaded")]);
    const { jobs } = await tenant.page({}, null, 10);
    expect(jobs.map(({ job_id, status }) => [job_id, status])).toEqual([
      ["job-1", "queued"],
      ["job-0", "active"],
    ]);
    expect(tenant.discarded).toEqual([]);
  });

  it("leaves out what is no more, and is full all the same", async () => {
    const tenant = new Tenant(["queued", "queued", "unknown", "queued", "gone"]);
    const { jobs, next } = await tenant.page({}, null, 2);
    expect(jobs.map(({ job_id }) => job_id)).toEqual(["job-3", "job-1"]);
    expect(next).toEqual({ submittedAt: 1, jobId: "job-1" });
    expect(tenant.discarded).toEqual(["job-4", "job-2"]);
  });

  it("asks no more jobs than it shows where none is left out", async () => {
    const tenant = new Tenant(Array.from({ length: 50 }, () => "queued"));
    const { jobs } = await tenant.page({}, null, 20);
    expect([jobs.length, tenant.asked]).toEqual([20, 20]);
  });

  it("of a rare status asks two hundred jobs at most and says where to go on", async () => {
    const tenant = new Tenant(
      Array.from({ length: 450 }, (_, at) => (at < 3 ? "active" : "queued")),
    );
    const found: string[] = [];
    const asked: number[] = [];
    for (let from: number | null = null; ;) {
      tenant.asked = 0;
      const { jobs, next } = await tenant.page({ status: "active" }, from, 2);
      found.push(...jobs.map(({ job_id }) => job_id));
      asked.push(tenant.asked);
      if (next === null) break;
      from = next.submittedAt;
    }
    expect(found).toEqual(["job-2", "job-1", "job-0"]);
    expect(Math.max(...asked)).toBe(200);
    expect(asked).toHaveLength(4);
  });

  it("fails as a whole if a shard does, for jobs would be missing from it", async () => {
    const failing = { list: () => Promise.reject(new Error("overloaded")) };
    const ports = { shards: [failing] } as unknown as ListingPorts;
    await expect(listJobs(ALL, null, 20, ports)).rejects.toThrow("overloaded");
  });
});
