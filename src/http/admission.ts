import type { Context } from "hono";
import { createMiddleware } from "hono/factory";

import { isUnlimited, type Refusal } from "../domain/account.ts";
import { iso } from "../domain/instant.ts";
import { dollars } from "../domain/money.ts";
import type { Submitted } from "../job/job-rpc.ts";
import { reserve, unreserve, type Candidate, type Door } from "../submit/reservation.ts";
import type { App } from "./context.ts";
import { problems, type Refused } from "./document.ts";
import { ApiError } from "./errors.ts";
import { rateLimitHeaders, seconds } from "./rate-limit.ts";

/** How long who meets a pause of unknown length, a limit of nothing among them, or a full queue is asked to wait, in seconds. */
const PAUSED_SECONDS = 60;
const FULL_SECONDS = 10;

/** What a submission's answer holds where its tenant has limits, for the document. */
export const RateLimit = {
  RateLimit: {
    schema: { type: "string" as const },
    description: "What is left of the tenant's limits, where it has any.",
    example: '"submit";r=599;t=12, "queued";r=998',
  },
  "RateLimit-Policy": {
    schema: { type: "string" as const },
    description: "The tenant's limits: `submit`, jobs in a minute; `queued`, jobs not ended.",
    example: '"submit";q=600;w=60, "queued";q=1000;qu="concurrent-requests"',
  },
};

/** How a submission may be refused once its tenant's limits were asked, for the document. */
export function refusals<S extends 402 | 409 | 410 | 422 | 429>(...statuses: S[]) {
  const refused = Object.entries<Refused>(problems(...statuses)).map(([status, answer]) => {
    return [status, { ...answer, headers: { ...answer.headers, ...RateLimit } }];
  });
  return Object.fromEntries(refused) as Record<S, Refused>;
}

/** Lets submissions in while the operator takes any. Comes before the body is read. */
export const openIntake = createMiddleware<App>(async (c, next) => {
  if (c.get("config").INTAKE === "paused") {
    const headers = { "retry-after": String(PAUSED_SECONDS) };
    throw new ApiError("intake-paused", "No new jobs are taken for the moment", { headers });
  }
  await next();
});

/**
 * Submits a job if its tenant's account lets it in, and reserves what it may cost first; without limits nobody is asked.
 *
 * A repetition costs nothing and is never refused: what was reserved for it is given back, and where the account refuses
 * the job may be there already. An account that cannot be reached lets nobody in.
 */
export async function submitAdmitted(
  c: Context<App>,
  candidate: Candidate,
  door: Door,
): Promise<Submitted> {
  const { limits } = c.get("principal");
  if (isUnlimited(limits)) return door.submit();
  const admission = await reserve(c.env, candidate, limits);
  if (admission?.type !== "admitted") {
    if (admission === null) c.executionCtx.waitUntil(unreserve(c.env, candidate.spec));
    const before = (await door.recall?.()) ?? null;
    if (before === null) {
      throw admission === null ? unreachable() : refusalOf(admission, candidate);
    }
    if (admission !== null) tellQuota(c, admission.quota);
    return before;
  }
  const submitted = await door.submit();
  tellQuota(c, admission.quota);
  if (submitted.type !== "accepted") c.executionCtx.waitUntil(unreserve(c.env, candidate.spec));
  return submitted;
}

export function tellQuota(c: Context<App>, quota: Refusal["quota"]): void {
  for (const [name, value] of Object.entries(rateLimitHeaders(quota))) c.header(name, value);
}

export function unreachable(): ApiError {
  const headers = { "retry-after": "1" };
  return new ApiError("unavailable", "The account could not be reached; try again", { headers });
}

/** `worstNano`: what may be spent by the `thing` that asked. */
export function refusalOf(
  admission: Refusal,
  { worstNano }: Pick<Candidate, "worstNano">,
  thing = "job",
): ApiError {
  const headers = rateLimitHeaders(admission.quota);
  switch (admission.type) {
    case "rate": {
      const resetMs = admission.quota.rate?.resetMs ?? null;
      const wait = resetMs === null ? PAUSED_SECONDS : seconds(resetMs);
      const detail =
        resetMs === null
          ? "This tenant may submit no jobs for the moment"
          : `Too many jobs were submitted in a minute; there is room for one in ${wait} s`;
      const waited = { ...headers, "retry-after": String(wait) };
      return new ApiError("too-many-requests", detail, { headers: waited });
    }
    case "depth": {
      const detail = "Too many jobs have not ended yet";
      const waited = { ...headers, "retry-after": String(FULL_SECONDS) };
      return new ApiError("too-many-requests", detail, { headers: waited });
    }
    case "budget": {
      const { period, leftNano, resetsAt } = admission;
      const left = `$${dollars(leftNano)} of the ${period}'s budget is left`;
      const asked = `this ${thing} may cost $${dollars(worstNano ?? 0)}`;
      const detail = `${left} until ${iso(resetsAt)}, and ${asked}`;
      return new ApiError("budget-exceeded", detail, { headers });
    }
    case "unpriced": {
      const detail = "The price of a model is not known, so no budget can pay for it";
      return new ApiError("budget-exceeded", detail, { headers });
    }
  }
}
