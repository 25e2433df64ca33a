import { createRoute, OpenAPIHono } from "@hono/zod-openapi";

import { fingerprintOf } from "../ids.ts";
import type { Answered } from "../job/job-rpc.ts";
import { JobInput, StepList } from "../schema/job-steps.ts";
import { JobView } from "../schema/job.ts";
import { MAX_APPROVAL_BYTES } from "../schema/step.ts";
import { needs } from "./auth.ts";
import { jsonBody } from "./body.ts";
import type { App } from "./context.ts";
import { problems, refuseInvalid } from "./document.ts";
import { ApiError } from "./errors.ts";
import { found, JobParams, jobStub } from "./jobs.ts";

const stepsRoute = createRoute({
  method: "get",
  path: "/api/jobs/{id}/steps",
  operationId: "listSteps",
  tags: ["jobs"],
  summary: "The steps of a job, and how far each has come",
  description: "None of a job that is one call.",
  ...needs("jobs:read"),
  request: { params: JobParams },
  responses: {
    200: { description: "In their order", content: { "application/json": { schema: StepList } } },
    ...problems(401, 403, 404, 410, 500, 503),
  },
});

const inputRoute = createRoute({
  method: "post",
  path: "/api/jobs/{id}/input",
  operationId: "answerJob",
  tags: ["jobs"],
  summary: "Answer what a job waits for",
  description:
    "Approves a step, or cancels the job. Taken once: the same answer again is answered with the job, another with 409.",
  ...needs("jobs:write", jsonBody),
  request: {
    params: JobParams,
    body: { required: true, content: { "application/json": { schema: JobInput } } },
  },
  responses: {
    200: { description: "The job", content: { "application/json": { schema: JobView } } },
    ...problems(400, 401, 403, 404, 409, 410, 413, 415, 500, 503),
  },
});

export const jobSteps = new OpenAPIHono<App>({ defaultHook: refuseInvalid });

jobSteps.openapi(stepsRoute, async (c) => {
  const { id } = c.req.valid("param");
  return c.json({ job_id: id, steps: found(await (await jobStub(c, id)).steps()) }, 200);
});

jobSteps.openapi(inputRoute, async (c) => {
  const { request_id: requestId, approved, comment = null, data = null } = c.req.valid("json");
  const answer = { approved, comment, data };
  const output = JSON.stringify(answer);
  if (new TextEncoder().encode(output).byteLength > MAX_APPROVAL_BYTES) {
    throw new ApiError(
      "payload-too-large",
      `The answer is larger than ${MAX_APPROVAL_BYTES} bytes`,
    );
  }
  const job = await jobStub(c, c.req.valid("param").id);
  const digest = await fingerprintOf(answer);
  return c.json(taken(found(await job.input({ requestId, approved, output, digest }))), 200);
});

/** The job, if it has this answer. */
function taken({ type, view }: Answered): JobView {
  switch (type) {
    case "taken":
      return view;
    case "other":
      throw new ApiError("input-already-given", "Another answer was given before");
    case "unasked":
      throw new ApiError("input-not-awaited", "The job does not wait for this answer");
  }
}
