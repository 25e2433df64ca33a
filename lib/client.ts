import type {
  Attempt,
  CreateJob,
  Delivery,
  Job,
  JobAccepted,
  JobEvent,
  JobInput,
  JobList,
  JobListQuery,
  JobReplayed,
  StepView,
  Subscription,
} from "./api-types.ts";
import { Caller, delayAfter, type Ask } from "./caller.ts";
import { AfterwordError, retryAfterMs } from "./client-error.ts";
import { Follower, isTerminal, type FollowOptions } from "./follow.ts";
import { Limit, pause } from "./limit.ts";

export type * from "./api-types.ts";
export { AfterwordError, type AfterwordErrorCode } from "./client-error.ts";
export { isTerminal, type FollowOptions } from "./follow.ts";
export type { Client };

export type ClientOptions = {
  /** Where the API is, such as `https://afterword.example.com`. In a browser, empty for the page's own origin. */
  baseUrl: string;
  /** For backends. A browser is given a subscribe token instead: a key in a page is everybody's. */
  apiKey?: string | undefined;
  /** In the place of the platform's. */
  fetch?: typeof globalThis.fetch | undefined;
};

export type CallOptions = { signal?: AbortSignal | undefined };

export type SubmitOptions = CallOptions & {
  /** 1–255 visible ASCII characters: the same key with the same request is the same job. Default: a random one. */
  idempotencyKey?: string | undefined;
};

export type GetOptions = CallOptions & {
  /** With the text so far of a job that is active. */
  includePartialOutput?: boolean | undefined;
};

export type WaitOptions = CallOptions & {
  /** Rejects with a TimeoutError then. Default: waits as long as it takes. */
  timeoutMs?: number | undefined;
};

/** What a submission is answered: a new job, or the one that it repeats. */
export type Submission = JobAccepted | JobReplayed;

/** A job that will not change any more. */
export type EndedJob = Job & { status: "completed" | "failed" | "cancelled" };

/** How long the server is asked to hold an answer, in seconds: less than what proxies put up with. */
const HELD_SECONDS = 25;

/** Between two looks at a job, as long as the server has not said; and between two tries, at most. */
const WAIT_MS = { base: 1_000, ceiling: 30_000 };

/** What a request may take on its way: one that is sent later than this before a window ends may find it over. */
const WAY_THERE_MS = 5_000;

/**
 * A client of one Afterword server. Throws nothing but `AfterwordError`, and the reason of a signal that is aborted.
 *
 * Each call is tried again, a few times and as the server paces it, where that may help: no answer, 408, 429, 5xx. That
 * is safe for all of them. `wait` and `stream` go on trying until the signal is aborted.
 */
export function createClient({ baseUrl, apiKey, fetch }: ClientOptions): Client {
  return new Client(new Caller(baseUrl, apiKey, fetch));
}

class Client {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /**
   * Submits a job, once, however often it has to be sent: all tries have the same key. With `dedupe_window_seconds` and no
   * key of the caller's they have none, and there is no try after that window.
   *
   * With `wait` (seconds, 60 at most) it resolves to the finished job where that ends in time.
   */
  submit(request: CreateJob, options?: SubmitOptions & { wait?: undefined }): Promise<Submission>;
  submit(
    request: CreateJob,
    options: SubmitOptions & { wait?: number | undefined },
  ): Promise<Submission | EndedJob>;
  submit(
    request: CreateJob,
    { idempotencyKey, wait, signal }: SubmitOptions & { wait?: number | undefined } = {},
  ): Promise<Submission | EndedJob> {
    const key = idempotencyKey ?? keyFor(request);
    const windowMs = (request.dedupe_window_seconds ?? 0) * 1_000;
    return this.#ask({
      method: "POST",
      path: "/api/jobs",
      headers: {
        "content-type": "application/json",
        ...(key === null ? {} : { "idempotency-key": key }),
        ...(wait === undefined ? {} : { prefer: `wait=${wait}` }),
      },
      body: JSON.stringify(request),
      heldSeconds: wait ?? 0,
      // Without a key it is the window that makes two of them one job.
      ...(key === null ? { repeatableMs: windowMs - WAY_THERE_MS } : {}),
      signal,
    });
  }

  get(jobId: string, { includePartialOutput = false, signal }: GetOptions = {}): Promise<Job> {
    const query = includePartialOutput ? "?include=partial_output" : "";
    return this.#ask({ path: `${pathOf(jobId)}${query}`, signal });
  }

  /** The job once it has ended, however it did. Asks no more often than the server wants to be asked. */
  async wait(jobId: string, { timeoutMs, signal }: WaitOptions = {}): Promise<EndedJob> {
    if (timeoutMs === undefined) return this.#ended(jobId, signal);
    const limit = new Limit(signal);
    try {
      return await limit.within(timeoutMs, this.#ended(jobId, limit.signal));
    } finally {
      limit.end();
    }
  }

  /**
   * The events of a job: each once, in order, without a gap, until the terminal one. Streams that are cut are resumed;
   * where streams do not get through, the events are asked for page by page.
   *
   * A submission's own subscribe token is used where the client has no key.
   */
  stream(
    job: string | Pick<Submission, "job_id" | "subscribe_token">,
    options: FollowOptions = {},
  ): AsyncGenerator<JobEvent, void> {
    const isId = typeof job === "string";
    const jobId = isId ? job : job.job_id;
    const token = isId || this.#caller.hasKey ? null : job.subscribe_token;
    return new Follower(this.#caller, jobId, options, token).events();
  }

  /** The job as it then is: cancelled, or as it had ended before. */
  cancel(jobId: string, { signal }: CallOptions = {}): Promise<Job> {
    return this.#ask({ method: "POST", path: `${pathOf(jobId)}/cancel`, signal });
  }

  /** Submits a failed or cancelled job again, as a new one: the same new one, however often it is asked for. */
  retry(jobId: string, { signal }: CallOptions = {}): Promise<Submission> {
    return this.#ask({ method: "POST", path: `${pathOf(jobId)}/retry`, signal });
  }

  /** Ends the job if need be and deletes all it held. Well, too, where that was done before. */
  async delete(jobId: string, { signal }: CallOptions = {}): Promise<void> {
    try {
      await this.#ask({ method: "DELETE", path: pathOf(jobId), signal });
    } catch (error) {
      if (!(error instanceof AfterwordError && error.code === "job-gone")) throw error;
    }
  }

  /** Jobs without their texts, newest first, page after page as they are taken. `limit`: of a page. */
  async *list(
    query: JobListQuery = {},
    { signal }: CallOptions = {},
  ): AsyncGenerator<JobList["jobs"][number], void> {
    let cursor: string | null = query.cursor ?? null;
    do {
      const entries = Object.entries({ ...query, cursor: cursor ?? undefined });
      const given = entries.flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)]],
      );
      const path = `/api/jobs?${new URLSearchParams(given).toString()}`;
      const page: JobList = await this.#ask({ path, signal });
      yield* page.jobs;
      cursor = page.next_cursor;
    } while (cursor !== null);
  }

  /** The calls to models that a job has made, in their order. */
  async attempts(jobId: string, { signal }: CallOptions = {}): Promise<Attempt[]> {
    const path = `${pathOf(jobId)}/attempts`;
    return (await this.#ask<{ attempts: Attempt[] }>({ path, signal })).attempts;
  }

  /** The steps of a job, in their order, and how far each has come; none of a job that is one call. */
  async steps(jobId: string, { signal }: CallOptions = {}): Promise<StepView[]> {
    const path = `${pathOf(jobId)}/steps`;
    return (await this.#ask<{ steps: StepView[] }>({ path, signal })).steps;
  }

  /** Answers what a job waits for (its `waiting_for`). The job as it then is; well, too, where the same was answered before. */
  answer(jobId: string, input: JobInput, { signal }: CallOptions = {}): Promise<Job> {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify(input);
    return this.#ask({ method: "POST", path: `${pathOf(jobId)}/input`, headers, body, signal });
  }

  /** What a job's webhook was sent, and is still owed. */
  async deliveries(jobId: string, { signal }: CallOptions = {}): Promise<Delivery[]> {
    const path = `${pathOf(jobId)}/deliveries`;
    return (await this.#ask<{ deliveries: Delivery[] }>({ path, signal })).deliveries;
  }

  /** A fresh subscribe token for a browser: reads this one job, for minutes. */
  issueToken(jobId: string, { signal }: CallOptions = {}): Promise<Subscription> {
    return this.#ask({ method: "POST", path: `${pathOf(jobId)}/tokens`, signal });
  }

  async #ask<Body>(ask: Ask): Promise<Body> {
    return (await this.#caller.insist<Body>(ask)).body;
  }

  async #ended(jobId: string, signal: AbortSignal | undefined): Promise<EndedJob> {
    const path = `${pathOf(jobId)}?wait=${HELD_SECONDS}`;
    let headers: Record<string, string> = {};
    for (let failures = 0; ;) {
      const askedAt = Date.now();
      try {
        const asked = { path, headers, heldSeconds: HELD_SECONDS, signal };
        const answer = await this.#caller.once<Job | null>(asked);
        if (answer.body !== null && isTerminal(answer.body.status)) return answer.body as EndedJob;
        failures = 0;
        const etag = answer.headers.get("etag");
        headers = etag === null ? {} : { "if-none-match": etag };
        // The time the answer was held for counts as waited.
        const leastMs = retryAfterMs(answer.headers) ?? WAIT_MS.base;
        await pause(askedAt + leastMs - Date.now(), signal);
      } catch (error) {
        signal?.throwIfAborted();
        await pause(delayAfter(error, failures, WAIT_MS), signal);
        failures += 1;
      }
    }
  }
}

function pathOf(jobId: string): string {
  return `/api/jobs/${encodeURIComponent(jobId)}`;
}

/**
 * 128 random bits, so also a job id nobody can guess. None for a request that says itself what makes it the same as
 * another, which a key would overrule. Not `randomUUID`, which pages have on https and localhost only.
 */
function keyFor({ dedupe_window_seconds: windowSeconds = 0 }: CreateJob): string | null {
  if (windowSeconds > 0) return null;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
