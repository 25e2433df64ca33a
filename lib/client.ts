import type {
  Attempt,
  Batch,
  BatchAccepted,
  BatchReplayed,
  BatchResult,
  BatchRetried,
  CreateBatch,
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
import { ResultsReader, type ResultsOptions } from "./batch-results.ts";
import { Caller, type Ask } from "./caller.ts";
import { AfterwordError } from "./client-error.ts";
import { Follower, isTerminal, type FollowOptions } from "./follow.ts";
import { ended, type WaitOptions } from "./wait.ts";

export type * from "./api-types.ts";
export { AfterwordError, type AfterwordErrorCode } from "./client-error.ts";
export type { ResultsOptions } from "./batch-results.ts";
export { isTerminal, type FollowOptions } from "./follow.ts";
export type { WaitOptions } from "./wait.ts";
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

/** What a submission is answered: a new job, or the one that it repeats. */
export type Submission = JobAccepted | JobReplayed;

/** A job that will not change any more. */
export type EndedJob = Job & { status: "completed" | "failed" | "cancelled" };

/** What the submission of a batch is answered: a new one, or the one that it repeats. */
export type BatchSubmission = BatchAccepted | BatchReplayed;

/** A batch that will not change any more, unless what failed is tried again. */
export type EndedBatch = Batch & { status: "completed" | "cancelled" };

/** How long the server is asked to hold an answer, in seconds: less than what proxies put up with. */
const HELD_SECONDS = 25;

/** What a request may take on its way: one that is sent later than this before a window ends may find it over. */
const WAY_THERE_MS = 5_000;

/**
 * A client of one Afterword server. Throws nothing but `AfterwordError`, and the reason of a signal that is aborted.
 *
 * Each call is tried again, a few times and as the server paces it, where that may help: no answer, 408, 429, 5xx. That
 * is safe for all of them. `wait` and `stream`, `waitForBatch` and `batchResults` go on trying until the signal is aborted.
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
  wait(jobId: string, options: WaitOptions = {}): Promise<EndedJob> {
    const ask = { path: `${pathOf(jobId)}?wait=${HELD_SECONDS}`, heldSeconds: HELD_SECONDS };
    return ended(this.#caller, ask, isEndedJob, options);
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

  /** Submits up to 1,000 jobs as one batch, once, however often it has to be sent: all tries have the same key. */
  submitBatch(
    request: CreateBatch,
    { idempotencyKey = randomKey(), signal }: SubmitOptions = {},
  ): Promise<BatchSubmission> {
    const headers = { "content-type": "application/json", "idempotency-key": idempotencyKey };
    const body = JSON.stringify(request);
    return this.#ask({ method: "POST", path: "/api/batches", headers, body, signal });
  }

  /** How far a batch is. */
  getBatch(batchId: string, { signal }: CallOptions = {}): Promise<Batch> {
    return this.#ask({ path: batchPathOf(batchId), signal });
  }

  /** The batch once all its items have ended, however they did. Asks no more often than the server wants to be asked. */
  waitForBatch(batchId: string, options: WaitOptions = {}): Promise<EndedBatch> {
    return ended(this.#caller, { path: batchPathOf(batchId) }, isEndedBatch, options);
  }

  /**
   * What came of the items of a batch: each once, in their order, as it is read. Without `follow` of those that have ended
   * so far; with it each is waited for in its turn. A stream that breaks off is resumed where it was.
   */
  batchResults(batchId: string, options: ResultsOptions = {}): AsyncGenerator<BatchResult, void> {
    return new ResultsReader(this.#caller, `${batchPathOf(batchId)}/results`, options).results();
  }

  /** The batch as it then is: cancelled or about to be, or as it had ended before. */
  cancelBatch(batchId: string, { signal }: CallOptions = {}): Promise<Batch> {
    return this.#ask({ method: "POST", path: `${batchPathOf(batchId)}/cancel`, signal });
  }

  /**
   * Tries all failed items of a batch again, in the same batch. `retried` is how many the last try to ask began: none where
   * the answer to one before was lost.
   */
  retryFailed(batchId: string, { signal }: CallOptions = {}): Promise<BatchRetried> {
    return this.#ask({ method: "POST", path: `${batchPathOf(batchId)}/retry-failed`, signal });
  }

  async #ask<Body>(ask: Ask): Promise<Body> {
    return (await this.#caller.insist<Body>(ask)).body;
  }
}

function isEndedJob(job: Job): job is EndedJob {
  return isTerminal(job.status);
}

function isEndedBatch(batch: Batch): batch is EndedBatch {
  return batch.is_complete;
}

function pathOf(jobId: string): string {
  return `/api/jobs/${encodeURIComponent(jobId)}`;
}

function batchPathOf(batchId: string): string {
  return `/api/batches/${encodeURIComponent(batchId)}`;
}

/** None for a request that says itself what makes it the same as another, which a key would overrule. */
function keyFor({ dedupe_window_seconds: windowSeconds = 0 }: CreateJob): string | null {
  return windowSeconds > 0 ? null : randomKey();
}

/** 128 random bits, so also an id nobody can guess. Not `randomUUID`, which pages have on https and localhost only. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
