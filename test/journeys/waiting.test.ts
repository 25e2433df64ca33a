import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { EventPage } from "../../src/schema/event.ts";
import type { JobReplayed, JobView } from "../../src/schema/job.ts";
import { expectJson, isTerminal } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";

let journey: Journey;
beforeAll(async () => {
  journey = await startJourney();
});
afterAll(() => journey.close());

async function waitingJob(): Promise<string> {
  return (await journey.api.submit({ prompt: freshPrompt(), delay_seconds: 600 })).job_id;
}

function poll(id: string, query: string, etag?: string, signal?: AbortSignal): Promise<Response> {
  const headers: HeadersInit = etag === undefined ? {} : { "if-none-match": etag };
  return journey.api.fetch(`/api/jobs/${id}?${query}`, { headers, ...(signal ? { signal } : {}) });
}

async function etagOf(id: string, query = ""): Promise<string> {
  return (await poll(id, query)).headers.get("etag") ?? "";
}

/** Every answer a poller has, each asked for with the version before, until the job has ended. */
async function answersOf(id: string, query: string): Promise<JobView[]> {
  const answers: JobView[] = [];
  let etag: string | undefined;
  for (;;) {
    const answer = await poll(id, query, etag);
    if (answer.status !== 304) answers.push(await expectJson<JobView>(answer, 200));
    etag = answer.headers.get("etag") ?? "";
    const last = answers.at(-1);
    if (last !== undefined && !["queued", "active"].includes(last.status)) return answers;
  }
}

describe("a poll that waits", () => {
  it("is answered at once by a change, however long it would have waited", async () => {
    const id = await waitingJob();
    const etag = await etagOf(id);
    const polls = [poll(id, "wait=60", etag), poll(id, "wait=60")];
    await journey.api.cancel(id);
    for (const answer of await Promise.all(polls)) {
      expect(answer.headers.get("etag")).not.toBe(etag);
      expect(await expectJson(answer, 200)).toMatchObject({ status: "cancelled" });
    }
  });

  it("is answered at once where the version it knows is not the job's, or the job has ended", async () => {
    const id = await waitingJob();
    expect((await poll(id, "wait=60", 'W/"another"')).status).toBe(200);
    await journey.api.cancel(id);
    const etag = await etagOf(id);
    expect((await poll(id, "wait=60")).status).toBe(200);
    const same = await poll(id, "wait=60", etag);
    expect([same.status, same.headers.get("retry-after")]).toEqual([304, null]);
  });

  it("is answered 304 after its wait, or without one, where nothing has changed", async () => {
    const id = await waitingJob();
    const etag = await etagOf(id);
    for (const query of ["wait=1", "wait=0", ""]) {
      const answer = await poll(id, query, etag);
      expect([answer.status, await answer.text()]).toEqual([304, ""]);
      expect(answer.headers.get("etag")).toBe(etag);
      expect(answer.headers.get("retry-after")).toBe("1");
    }
    expect((await poll(id, "wait=1")).status).toBe(200);
    await journey.api.cancel(id);
  });

  it.each([["61"], ["-1"], ["1.5"], ["soon"]])("of %s is refused", async (wait) => {
    expect((await poll("any", `wait=${wait}`)).status).toBe(400);
    const headers = { accept: "application/json" };
    const page = await journey.api.fetch(`/api/jobs/any/events?wait=${wait}`, { headers });
    expect(page.status).toBe(400);
  });

  it("hears of no text unless it asks for it, and then of it as it comes", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=40 every=50]") });
    const [changes, texts] = await Promise.all([
      answersOf(job_id, "wait=60"),
      answersOf(job_id, "wait=60&include=partial_output"),
    ]);
    expect(changes.length).toBeLessThan(7);
    const lengths = texts.map(({ partial_output = "" }) => partial_output.length);
    expect(new Set(lengths).size).toBeGreaterThan(5);
    expect(changes.at(-1)).toEqual(texts.at(-1));
  });

  it("is one of fifty, and all of them together do not make the job hurry", async () => {
    const prompt = freshPrompt("[tokens=40 every=50]");
    const { job_id } = await journey.api.submit({ prompt });
    const pollers = Array.from({ length: 50 }, () => answersOf(job_id, "wait=60"));
    const ends = (await Promise.all(pollers)).map((answers) => answers.at(-1));
    for (const end of ends) expect(end).toEqual(ends[0]);
    expect(ends[0]?.status).toBe("completed");
    // Nobody watched, so all the text was joined.
    const log = await journey.api.log(job_id);
    expect(log.filter(({ type }) => type === "delta")).toHaveLength(1);
  });

  it("F34: may be left: whoever goes no longer makes the job hurry", async () => {
    const prompt = freshPrompt("[tokens=80 every=50]");
    const { job_id } = await journey.api.submit({ prompt });
    await journey.api.readUntil(job_id, ({ status }) => status === "active");
    const leaving = new AbortController();
    const query = "wait=60&include=partial_output";
    const etag = await etagOf(job_id, "include=partial_output");
    await poll(job_id, query, etag);
    const left = poll(
      job_id,
      query,
      await etagOf(job_id, "include=partial_output"),
      leaving.signal,
    );
    leaving.abort();
    await expect(left).rejects.toThrow("abort");
    expect((await journey.api.ended(job_id)).status).toBe("completed");
    const log = await journey.api.log(job_id);
    // Eighty tokens in four seconds are eighty deltas where somebody watches.
    expect(log.filter(({ type }) => type === "delta").length).toBeLessThan(40);
  });
});

async function page(id: string, query: string): Promise<EventPage> {
  const headers = { accept: "application/json" };
  return expectJson(await journey.api.fetch(`/api/jobs/${id}/events?${query}`, { headers }), 200);
}

describe("pages of the log", () => {
  it("are the same log, asked for by cursor, each held until there is something", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[tokens=20 every=50]") });
    const seen: EventPage["events"] = [];
    while (!seen.some(isTerminal)) {
      const next = await page(job_id, `after=${seen.length}&wait=60`);
      expect(next.events.length).toBeGreaterThan(0);
      seen.push(...next.events);
    }
    expect(seen).toEqual(await journey.api.log(job_id));
    const last = { job_id, status: "completed", last_seq: seen.length, has_more: false };
    expect(await page(job_id, `after=${seen.length}&wait=60`)).toEqual({ ...last, events: [] });
  });

  it("of a large log say that there is more", async () => {
    const { job_id } = await journey.api.submit({ prompt: freshPrompt("[huge=1000000]") });
    await journey.api.ended(job_id);
    const first = await page(job_id, "");
    expect(first.has_more).toBe(true);
    expect(first.events[0]?.seq).toBe(1);
    expect(first.events.at(-1)?.seq).toBeLessThan(first.last_seq);
  });

  it("that have nothing new are empty after their wait", async () => {
    const id = await waitingJob();
    const empty = { job_id: id, status: "queued", last_seq: 1, has_more: false, events: [] };
    expect(await page(id, "after=1&wait=1")).toEqual(empty);
    expect(await page(id, "after=1")).toEqual(empty);
  });
});

const submit = (job: object, wait: number, key = crypto.randomUUID()) =>
  journey.api.post("/api/jobs", job, { prefer: `wait=${wait}`, "idempotency-key": key });

describe("a submission that prefers to wait", () => {
  it("is answered 200 with the finished job where it ends in time", async () => {
    const answer = await submit({ prompt: freshPrompt("[tokens=5 every=50]") }, 60);
    expect(answer.headers.get("preference-applied")).toBe("wait=60");
    expect(answer.headers.get("idempotent-replayed")).toBeNull();
    const job = await expectJson<JobView>(answer, 200);
    expect(job).toMatchObject({ status: "completed", result: { content: expect.any(String) } });
    expect(await journey.api.read(job.job_id)).toMatchObject({ result: job.result });
  });

  it("is answered so whatever the end is", async () => {
    const answer = await submit({ prompt: freshPrompt("[status=400]") }, 60);
    expect(await expectJson<JobView>(answer, 200)).toMatchObject({ status: "failed" });
  });

  it("is answered 202 where it does not", async () => {
    for (const wait of [0, 1]) {
      const answer = await submit({ prompt: freshPrompt(), delay_seconds: 600 }, wait);
      expect(answer.headers.get("preference-applied")).toBeNull();
      expect(await expectJson(answer, 202)).toMatchObject({ status: "queued" });
    }
  });

  it("waits for the job it repeats as for one of its own", async () => {
    const job = { prompt: freshPrompt("[tokens=10 every=50]") };
    const key = crypto.randomUUID();
    await journey.api.submit(job, key);
    const replayed = await submit(job, 60, key);
    expect(replayed.headers.get("idempotent-replayed")).toBe("true");
    expect(await expectJson<JobView>(replayed, 200)).toMatchObject({ status: "completed" });
    expect(journey.provider.callsFor(job.prompt)).toHaveLength(1);
    const late = { prompt: freshPrompt(), delay_seconds: 600 };
    await journey.api.submit(late, `${key}-late`);
    const answer = await submit(late, 1, `${key}-late`);
    const replay = await expectJson<JobReplayed>(answer, 200);
    expect(replay.status).toBe("already_submitted");
  });

  it("F34: may be left while it waits: that cancels nothing", async () => {
    const prompt = freshPrompt("[tokens=40 every=50]");
    const gone = new AbortController();
    const headers = {
      "content-type": "application/json",
      prefer: "wait=60",
      "idempotency-key": "left-waiting",
    };
    const body = JSON.stringify({ prompt });
    const left = journey.api.fetch("/api/jobs", {
      method: "POST",
      body,
      headers,
      signal: gone.signal,
    });
    await journey.provider.waitForCall((call) => call.prompt === prompt);
    gone.abort();
    await expect(left).rejects.toThrow("abort");
    expect((await journey.api.ended("left-waiting")).status).toBe("completed");
    expect(journey.provider.callsFor(prompt)).toMatchObject([{ closedEarlyAt: null }]);
  });
});
