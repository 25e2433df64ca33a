import { base64Url } from "./secrets/base64-url.ts";
import type { Route } from "./domain/job.ts";
import type { CreateJob, KeptRequest } from "./schema/job.ts";

/** What a job id looks like. Checked before any object is named by it. */
export const JOB_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** What an Idempotency-Key may be: 1–255 visible ASCII characters. */
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** The key itself where it can be an id, one derived from it where not, and 128 random bits where there is none. */
export async function jobIdFor(tenant: string, key: string | null): Promise<string> {
  if (key === null) {
    return `job_${randomToken(16)}`;
  }
  return JOB_ID.test(key) ? key : `job_${await digest(`${tenant}\0${key}`)}`;
}

/** The id of the one job that repeats the job of this dead letter. */
export async function replayIdFor(dlqId: string): Promise<string> {
  return `job_${await digest(`replay\0${dlqId}`)}`;
}

/**
 * The name of a job's object. The tenant is part of it, so another tenant's id names another object; and
 * it is a digest, because names show in dashboards and an id may be a caller's own text.
 */
export function objectName(tenant: string, jobId: string): Promise<string> {
  return digest(`${tenant}\0${jobId}`);
}

/**
 * Shards of each tenant's list of jobs. 16, because 1,000 submissions a second, with their ends and removals, are 190
 * writes a second to each, and an object takes 200 to 500. Never changed: entries would be looked for elsewhere.
 */
export const LISTING_SHARDS = 16;

/** The shard of its tenant's list that a job is in. */
export async function shardOf(jobId: string): Promise<number> {
  const bytes = new Uint8Array(await sha256(jobId));
  return (bytes[0] ?? 0) % LISTING_SHARDS;
}

/** The name of the object that holds one shard of a tenant's list. */
export function shardName(tenant: string, shard: number): Promise<string> {
  return digest(`${tenant}\0${shard}`);
}

/** The name of the object that holds what is a tenant's own. No tenant is nameless, so no other name is made of this. */
export function tenantName(tenant: string): Promise<string> {
  return digest(`\0tenant\0${tenant}`);
}

/** The id of a batch, as that of a job is made. */
export async function batchIdFor(tenant: string, key: string | null): Promise<string> {
  if (key === null) return `batch_${randomToken(16)}`;
  return JOB_ID.test(key) ? key : `batch_${await digest(`${tenant}\0${key}`)}`;
}

/** The name of a batch's object. */
export function batchName(tenant: string, batchId: string): Promise<string> {
  return digest(`\0batch\0${tenant}\0${batchId}`);
}

/** The name of the object that keeps a tenant's account. */
export function accountName(tenant: string): Promise<string> {
  return digest(`\0account\0${tenant}`);
}

/**
 * The name of the gate to a URL's origin, where a tenant's deliveries to it meet. Throws where it is no URL. Each tenant
 * has its own: many receive at one host that serves everybody, and one that hangs there is nobody else's trouble.
 */
export function gateName(tenant: string, url: string): Promise<string> {
  // With the dot of the root a name is the same host.
  const origin = new URL(url).origin.replace(/\.(?=:\d+$|$)/, "");
  return digest(`\0gate\0${tenant}\0${origin}`);
}

/**
 * The name of the claim on one piece of work (`dedupe_window_seconds`): the same for all submissions of a tenant
 * that would make the same call for the same user, whatever else they say.
 */
export function claimName(
  tenant: string,
  { provider, model }: Pick<Route, "provider" | "model">,
  request: Pick<KeptRequest, "prompt" | "messages" | "params" | "user">,
): Promise<string> {
  const { prompt, messages = [{ role: "user", content: prompt }], params = {}, user } = request;
  return fingerprintOf({ tenant, user: user ?? null, provider, model, messages, params });
}

/** The same of a piece of work in several steps; what they are sent with is part of it, headers and all. */
export function stepsClaimName(
  tenant: string,
  planned: { routes: Pick<Route, "provider" | "model">[] }[],
  { steps, input, params = {}, user }: CreateJob,
): Promise<string> {
  const models = planned.map(({ routes }) =>
    routes.map(({ provider, model }) => [provider, model]),
  );
  const said = { steps, input: input ?? null, params };
  return fingerprintOf({ tenant, user: user ?? null, models, ...said });
}

/** Two requests have the same fingerprint if they say the same, in whatever order. */
export function fingerprintOf(request: unknown): Promise<string> {
  return digest(JSON.stringify(sorted(request)));
}

/** As many random bytes, in base64url. */
export function randomToken(bytes: number): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(bytes)).buffer);
}

/** SHA-256 in base64url, 43 characters. */
async function digest(text: string): Promise<string> {
  return base64Url(await sha256(text));
}

function sha256(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
