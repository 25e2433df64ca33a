import type { Hook } from "@hono/zod-openapi";

import { TOO_MANY_PROMPTS, TOO_MANY_REQUESTS } from "../schema/batch.ts";
import { Problem, PROBLEMS } from "../schema/error.ts";
import type { App } from "./context.ts";
import { ApiError } from "./errors.ts";

type Status = (typeof PROBLEMS)[keyof typeof PROBLEMS]["status"];

const content = { "application/problem+json": { schema: Problem } };

type Header = {
  schema: { type: "string" | "integer" };
  description: string;
  example?: string;
  required?: boolean;
};
type Headers = Record<string, Header>;
export type Refused = { description: string; headers?: Headers; content: typeof content };

export const RetryAfter = {
  "Retry-After": { schema: { type: "integer" as const }, description: "Seconds." },
};

const comeAgain: Headers = { "Retry-After": { ...RetryAfter["Retry-After"], required: true } };

/** What every refusal of a status says besides its body. */
const HEADERS: Partial<Record<Status, Headers>> = {
  401: {
    "WWW-Authenticate": {
      schema: { type: "string" },
      description: "What is asked for.",
      example: 'Bearer realm="afterword"',
      required: true,
    },
  },
  429: comeAgain,
  503: comeAgain,
};

/** The refusals a route may answer with, for the document. */
export function problems<S extends Status>(...statuses: S[]): Record<S, Refused> {
  const entries = statuses.map((status) => [status, refused(status)]);
  return Object.fromEntries(entries) as Record<S, Refused>;
}

function refused(status: Status): Refused {
  const titles = Object.values(PROBLEMS).filter((problem) => problem.status === status);
  const description = titles.map(({ title }) => title).join(", ");
  const headers = HEADERS[status];
  return { description, ...(headers === undefined ? {} : { headers }), content };
}

/** Faults told at once. A body can have a million, and they would be told in ten times its size. */
const MAX_ERRORS = 50;
const MAX_ERROR_CHARS = 200;

/** A request that does not fit its schema: its faults with their places, the first as the human line. */
export const refuseInvalid: Hook<unknown, App, string, undefined> = (result) => {
  if (result.success) return undefined;
  const errors = result.error.issues.slice(0, MAX_ERRORS).map(({ path, message }) => {
    const fault = { pointer: shortened(pointerOf(path)), detail: shortened(message) };
    return Object.assign(fault, itemOf(path));
  });
  const first = errors[0];
  const detail = first === undefined ? "" : humanLine(first);
  throw new ApiError("invalid-request", detail, { errors });
};

/** A fault may name what it found, which may be the whole body. */
function shortened(text: string): string {
  return text.length > MAX_ERROR_CHARS ? `${text.slice(0, MAX_ERROR_CHARS)}…` : text;
}

/** Which item of a batch is at fault, if any is. */
function itemOf([list, index]: PropertyKey[]): { index?: number } {
  const isItem = (list === "prompts" || list === "requests") && typeof index === "number";
  return isItem ? { index } : {};
}

/** Source: RFC 6901. */
function pointerOf(path: PropertyKey[]): string {
  return path
    .map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
}

function humanLine({ pointer, detail }: { pointer: string; detail: string }): string {
  const field = pointer.slice(1);
  return field === "" || namesField(detail, field) ? detail : `${field}: ${detail}`;
}

/** Some lines are part of the contract as they are. */
function namesField(detail: string, field: string): boolean {
  return detail.startsWith(field) || [TOO_MANY_PROMPTS, TOO_MANY_REQUESTS].includes(detail);
}

/** What the document says of itself. */
export const DOCUMENT = {
  openapi: "3.1.0" as const,
  info: {
    title: "Afterword",
    version: "0.1.0",
    description:
      "Asynchronous LLM jobs: submit a prompt, have a job id in milliseconds, get the answer by poll, Server-Sent Events, WebSocket or signed webhook.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "/" }],
  security: [{ bearer: [] }],
  tags: [
    { name: "jobs", description: "Submit, read, list, cancel, retry, delete." },
    { name: "batches", description: "Up to 1,000 jobs as one." },
    { name: "events", description: "Follow a job as it happens." },
    {
      name: "webhooks",
      description:
        "What is delivered to receivers: secrets, a test, the log of deliveries, replay.",
    },
    { name: "usage", description: "What the jobs came to, and what the budgets have left." },
    { name: "admin", description: "For the operator: needs a key with the scope `admin`." },
    { name: "tenants", description: "Who may use the service: tenants, their limits, their keys." },
    { name: "dead letters", description: "Jobs given up on: see why, send again, drop." },
    { name: "service", description: "The service itself." },
  ],
};
