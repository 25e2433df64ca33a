import { createRoute, OpenAPIHono } from "@hono/zod-openapi";

import type { Origin } from "../domain/origin.ts";
import { deadLetters } from "../ledgers/dead-letter-stub.ts";
import { logFault } from "../log.ts";
import { resubmit } from "../submit/resubmit.ts";
import { openIntake, refusals, submitAdmitted } from "./admission.ts";
import { needs } from "./auth.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";
import { found, JobParams, jobStub } from "./jobs.ts";
import { answerTo, SUBMITTED } from "./submissions.ts";

const retryRoute = createRoute({
  method: "post",
  path: "/api/jobs/{id}/retry",
  operationId: "retryJob",
  tags: ["jobs"],
  summary: "Try a failed or cancelled job again",
  description:
    "As a new job, whose `replay_of` names this one, at the tier its tenant has now. Asked for twice, or by the operator as well, it is the same new job.",
  ...needs("jobs:write", openIntake),
  request: { params: JobParams },
  responses: {
    ...SUBMITTED,
    ...refusals(402, 409, 429),
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

export const retries = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

retries.openapi(retryRoute, async (c) => {
  const { status, origin } = found(await (await jobStub(c, c.req.valid("param").id)).source());
  if (status !== "failed" && status !== "cancelled") {
    const detail = `A job that is ${status} cannot be retried`;
    throw new ApiError("job-not-retryable", detail);
  }
  const service = { env: c.env, config: c.get("config") };
  // A new job: it goes by what its owner has now.
  const { tier } = c.get("principal");
  const again = await resubmit({ ...origin, tier }, service, (candidate, door) =>
    submitAdmitted(c, candidate, door),
  );
  if (again.type === "refused") {
    const [first] = again.refusals;
    throw new ApiError("job-not-retryable", first?.detail ?? "", { errors: again.refusals });
  }
  if (again.submitted.type === "gone") {
    const detail = `It was tried again as ${again.jobId}, which has been deleted`;
    throw new ApiError("job-not-retryable", detail);
  }
  if (status === "failed") c.executionCtx.waitUntil(closeLetter(c.env, origin, again.jobId));
  return answerTo(c, again.submitted);
});

/** The operator need not do what the owner has done. Where this is lost, they get the same new job. */
async function closeLetter(env: Env, { dlqId }: Origin, newJobId: string): Promise<void> {
  try {
    await deadLetters(env).retried(dlqId, newJobId);
  } catch (error) {
    logFault("dead_letter.unclosed", { dlq_id: dlqId }, error);
  }
}
