import { reset } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";

import type { Listing, ListingStatus } from "../../src/domain/listing.ts";
import { accept } from "../../src/domain/transition.ts";
import { viewOf } from "../../src/domain/view.ts";
import { LISTING_SHARDS, objectName, shardName, shardOf } from "../../src/ids.ts";
import { shardFor, shardsOf } from "../../src/ledgers/listing-stub.ts";
import type { Problem } from "../../src/schema/error.ts";
import { JobList } from "../../src/schema/listing.ts";
import { completed, holdQueues, job, lease, REQUEST, specOf } from "./support.ts";

holdQueues({ ledgersToo: false });
beforeEach(() => reset());

/** Everybody is this tenant with AUTH_MODE=none. */
const TENANT = "dev";
const START = Date.parse("2026-11-01T12:00:00.000Z");

type Made = { id: string; at?: number; model?: string };

function specFor({ id, at = 0, model = "gpt-4o" }: Made) {
  const routes = [{ name: model, provider: "openai", model, price: null }];
  const submittedAt = START + at;
  // Never due by the test's clock alone.
  return specOf({
    id,
    tenant: TENANT,
    submittedAt,
    routes,
    startBy: Infinity,
    keyExpiresAt: Infinity,
  });
}

/** Puts an entry in its shard as its job would. */
async function told(made: Made, status: ListingStatus, view: Partial<Listing["view"]> = {}) {
  const spec = specFor(made);
  const created = accept(spec);
  if (!created.ok) throw new Error("a new job was refused");
  const shown = status === "open" ? "queued" : status;
  const model = spec.routes[0]?.name ?? "";
  await (
    await shardFor(env, TENANT, made.id)
  ).put({
    jobId: made.id,
    status,
    model,
    submittedAt: spec.submittedAt,
    view: { ...viewOf(created.job, START), status: shown, ...view },
  });
}

/** Submits a job to its own object, and has it listed as open. The answer is its object's name. */
async function open(made: Made): Promise<string> {
  const name = await objectName(TENANT, made.id);
  await job(name).submit(specFor(made), REQUEST);
  await told(made, "open");
  return name;
}

async function ask(query = ""): Promise<Response> {
  return exports.default.fetch(`https://afterword.test/api/jobs${query}`);
}

async function page(query = ""): Promise<JobList> {
  const response = await ask(query);
  const text = await response.text();
  expect([response.status, text]).toEqual([200, expect.any(String)]);
  const list = JSON.parse(text) as JobList;
  expect(JobList.parse(list)).toEqual(list);
  expect(list.has_more).toBe(list.next_cursor !== null);
  return list;
}

function idsOf({ jobs }: JobList): string[] {
  return jobs.map(({ job_id }) => job_id);
}

/** The pages behind this one. */
async function pagesAfter({ next_cursor }: JobList, query: string): Promise<JobList[]> {
  if (next_cursor === null) return [];
  const next = await page(`${query}&cursor=${next_cursor}`);
  return [next, ...(await pagesAfter(next, query))];
}

async function entriesLeft(): Promise<string[]> {
  const query = {
    statuses: ["open", "completed", "failed", "cancelled"],
    model: null,
    createdAfter: null,
    before: null,
    limit: 100,
  } as const;
  const runs = await Promise.all((await shardsOf(env, TENANT)).map((shard) => shard.list(query)));
  return runs.flat().map(({ jobId }) => jobId);
}

describe("the list of jobs", () => {
  it("of a tenant without any is empty", async () => {
    expect(await page()).toEqual({ jobs: [], has_more: false, next_cursor: null });
  });

  it("is newest first over all shards, and of one instant by id", async () => {
    const made = Array.from({ length: 20 }, (_, at) => ({ id: `job-${at}`, at }));
    for (const each of made) await told(each, "completed");
    await told({ id: "job-20a", at: 20 }, "failed");
    await told({ id: "job-20b", at: 20 }, "cancelled");
    const shards = new Set(await Promise.all(made.map(({ id }) => shardOf(id))));
    expect(shards.size).toBeGreaterThan(4);
    const newest = made.toReversed().map(({ id }) => id);
    const list = await page("?limit=100");
    expect(idsOf(list)).toEqual(["job-20b", "job-20a", ...newest]);
    expect(idsOf(await page())).toEqual(idsOf(list).slice(0, 20));
  });

  it("shows an open job as it is now, without its text", async () => {
    await open({ id: "waiting", at: 1 });
    await lease(await open({ id: "running", at: 2 }));
    await completed(await open({ id: "done", at: 3 }), "Because.");
    const { jobs } = await page();
    expect(jobs.map(({ job_id, status }) => [job_id, status])).toEqual([
      ["done", "completed"],
      ["running", "active"],
      ["waiting", "queued"],
    ]);
    expect(jobs[0]).not.toHaveProperty("result");
  });

  it("is one tenant's alone", async () => {
    const shard = await shardFor(env, "another", "job-1");
    const created = accept(specFor({ id: "job-1" }));
    if (!created.ok) throw new Error("a new job was refused");
    const view = viewOf(created.job, START);
    await shard.put({
      jobId: "job-1",
      status: "completed",
      model: "gpt-4o",
      submittedAt: START,
      view,
    });
    expect(idsOf(await page())).toEqual([]);
    const names = ["dev", "another"].map((tenant) =>
      Promise.all(Array.from({ length: LISTING_SHARDS }, (_, at) => shardName(tenant, at))),
    );
    expect(new Set((await Promise.all(names)).flat()).size).toBe(2 * LISTING_SHARDS);
  });
});

describe("a filter", () => {
  it("by status finds jobs by what they are now", async () => {
    await told({ id: "completed", at: 1 }, "completed");
    await told({ id: "failed", at: 2 }, "failed");
    await told({ id: "cancelled", at: 3 }, "cancelled");
    await open({ id: "queued", at: 4 });
    await lease(await open({ id: "active", at: 5 }));
    for (const status of ["completed", "failed", "cancelled", "queued", "active"]) {
      expect(idsOf(await page(`?status=${status}`))).toEqual([status]);
    }
  });

  it("by model and instant admits only those", async () => {
    for (let at = 0; at < 6; at++) {
      await told({ id: `job-${at}`, at, model: at % 2 === 0 ? "gpt-4o" : "o/mini" }, "completed");
    }
    expect(idsOf(await page("?model=gpt-4o"))).toEqual(["job-4", "job-2", "job-0"]);
    expect(idsOf(await page("?model=o%2Fmini&status=completed"))).toHaveLength(3);
    expect(idsOf(await page("?model=gpt-5"))).toEqual([]);
    const after = "2026-11-01T13:00:00.002%2B01:00";
    expect(idsOf(await page(`?created_after=${after}`))).toEqual(["job-5", "job-4", "job-3"]);
    expect(idsOf(await page(`?created_after=${after}&model=gpt-4o`))).toEqual(["job-4"]);
  });

  it.each([
    ["status=done", "/status"],
    ["limit=0", "/limit"],
    ["limit=101", "/limit"],
    ["limit=1.5", "/limit"],
    ["limit=many", "/limit"],
    ["created_after=yesterday", "/created_after"],
    ["cursor=nonsense!", "/cursor"],
    [`cursor=${btoa("12.a b")}`, "/cursor"],
    [`cursor=${btoa("-1.job")}`, "/cursor"],
    ["model=", "/model"],
    ["stauts=failed", ""],
  ])("that says %s is refused", async (query, pointer) => {
    const response = await ask(`?${query}`);
    expect(response.status).toBe(400);
    const { code, errors } = await response.json<Problem>();
    expect(code).toBe("invalid-request");
    expect(errors?.map((error) => error.pointer)).toEqual([pointer]);
  });
});

describe("a cursor", () => {
  it("leads through all jobs once, though others come and end meanwhile", async () => {
    for (let at = 0; at < 10; at++) await told({ id: `job-${at}`, at }, "completed");
    for (let at = 10; at < 15; at++) await open({ id: `job-${at}`, at });
    const first = await page("?limit=4");
    await open({ id: "newcomer", at: 99 });
    await completed(await objectName(TENANT, "job-10"), "Because.");
    await told({ id: "job-10", at: 10 }, "completed");
    const rest = await pagesAfter(first, "?limit=4");
    const ids = [first, ...rest].map(idsOf);
    expect(ids.map(({ length }) => length)).toEqual([4, 4, 4, 3]);
    expect(ids.flat()).toEqual(Array.from({ length: 15 }, (_, at) => `job-${14 - at}`));
  });

  it("ends with the last job, though it fills its page", async () => {
    for (let at = 0; at < 4; at++) await told({ id: `job-${at}`, at }, "completed");
    const first = await page("?limit=2");
    const rest = await pagesAfter(first, "?limit=2");
    expect([first, ...rest].map(idsOf)).toEqual([
      ["job-3", "job-2"],
      ["job-1", "job-0"],
    ]);
  });
});

describe("an entry whose job is no more", () => {
  it("is left out, and goes", async () => {
    await told({ id: "never-was", at: 1 }, "open");
    await told({ id: "expired", at: 2 }, "failed", { retained_until: "2026-11-01T12:00:00.000Z" });
    await open({ id: "again", at: 5 });
    await told({ id: "again", at: 3, model: "o/mini" }, "open");
    await told({ id: "kept", at: 4 }, "failed", { retained_until: "2999-11-01T12:00:00.000Z" });
    expect(idsOf(await page("?limit=2"))).toEqual(["again", "kept"]);
    expect(idsOf(await page())).toEqual(["again", "kept"]);
    await expect.poll(entriesLeft).toHaveLength(2);
  });
});
