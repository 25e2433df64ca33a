import { describe, expectTypeOf, it } from "vitest";

import type * as Client from "../../lib/client.ts";
import type { Batch, Job, JobResult, WebhookEvent } from "../../lib/webhooks.ts";
import type * as Batches from "../../src/schema/batch.ts";
import type * as Delivery from "../../src/schema/delivery.ts";
import type * as Problem from "../../src/schema/error.ts";
import type * as Event from "../../src/schema/event.ts";
import type * as Steps from "../../src/schema/job-steps.ts";
import type * as Schema from "../../src/schema/job.ts";
import type * as Listing from "../../src/schema/listing.ts";
import type * as Token from "../../src/schema/token.ts";

/** As it is in JSON, where what is undefined is not there. */
type InJson<T> = T extends object ? { [K in keyof T]: InJson<Exclude<T[K], undefined>> } : T;

describe("the types that users import", () => {
  // They are made from the schemas by a script of ours: here by what zod itself infers.
  it("are those of the schemas", () => {
    expectTypeOf<Job>().toEqualTypeOf<Client.Job>();
    expectTypeOf<Client.CreateJob>().toEqualTypeOf<InJson<Schema.CreateJob>>();
    expectTypeOf<Client.JobAccepted>().toEqualTypeOf<InJson<Schema.JobAccepted>>();
    expectTypeOf<Client.JobReplayed>().toEqualTypeOf<InJson<Schema.JobReplayed>>();
    expectTypeOf<Client.Job>().toEqualTypeOf<InJson<Schema.JobView>>();
    expectTypeOf<Batch>().toEqualTypeOf<Client.Batch>();
    expectTypeOf<Client.Attempt>().toEqualTypeOf<InJson<Schema.AttemptView>>();
    expectTypeOf<Client.StepView>().toEqualTypeOf<InJson<Steps.StepView>>();
    expectTypeOf<Client.JobInput>().toEqualTypeOf<InJson<Steps.JobInput>>();
    expectTypeOf<Client.JobEvent>().toEqualTypeOf<InJson<Event.JobEvent>>();
    expectTypeOf<Client.EventPage>().toEqualTypeOf<InJson<Event.EventPage>>();
    expectTypeOf<Client.JobList>().toEqualTypeOf<InJson<Listing.JobList>>();
    expectTypeOf<Client.CreateBatch>().toEqualTypeOf<InJson<Batches.CreateBatch>>();
    expectTypeOf<Client.BatchAccepted>().toEqualTypeOf<InJson<Batches.BatchAccepted>>();
    expectTypeOf<Client.BatchReplayed>().toEqualTypeOf<InJson<Batches.BatchReplayed>>();
    expectTypeOf<Client.Batch>().toEqualTypeOf<InJson<Batches.BatchView>>();
    expectTypeOf<Client.BatchRetried>().toEqualTypeOf<InJson<Batches.BatchRetried>>();
    expectTypeOf<Client.BatchResult>().toEqualTypeOf<InJson<Batches.BatchResult>>();
    expectTypeOf<Client.Delivery>().toEqualTypeOf<InJson<Delivery.DeliveryView>>();
    expectTypeOf<Client.Subscription>().toEqualTypeOf<InJson<Token.Subscription>>();
    expectTypeOf<Client.Problem>().toEqualTypeOf<InJson<Problem.Problem>>();
  });

  it("tell what a submission is answered by what was asked for", () => {
    expectTypeOf(submitted).toBeFunction();
  });

  it("tell events apart by their type, those still unknown too", () => {
    expectTypeOf(told).toBeFunction();
  });
});

/** Never called: that it compiles is the test. */
function told(event: WebhookEvent) {
  switch (event.type) {
    case "job.completed":
      expectTypeOf(event.completed_at).toEqualTypeOf<string>();
      return expectTypeOf(event.result).toEqualTypeOf<JobResult | undefined>();
    case "job.failed":
      return expectTypeOf(event.attempts).toEqualTypeOf<number>();
    case "job.cancelled":
      return expectTypeOf(event.reason).toEqualTypeOf<string>();
    case "job.started":
    case "job.progress":
      return expectTypeOf(event.data).toEqualTypeOf<Job>();
    case "batch.completed":
    case "batch.cancelled":
      return expectTypeOf(event.data.status_counts.failed).toEqualTypeOf<number>();
    case "webhook.test":
      return expectTypeOf(event.data).toEqualTypeOf<Record<string, unknown>>();
    case "dead_letter.threshold":
      return expectTypeOf(event.data.depth).toEqualTypeOf<number>();
    default:
      expectTypeOf(event.type).toExtend<string>();
      return expectTypeOf(event.data).toEqualTypeOf<unknown>();
  }
}

/** Never called, either. */
async function submitted(client: Client.Client) {
  const { status } = await client.submit({ prompt: "Why?" });
  expectTypeOf(status).toEqualTypeOf<"queued" | "already_submitted">();
  const answer = await client.submit({ prompt: "Why?" }, { wait: 30 });
  if (answer.status === "queued") return expectTypeOf(answer).toEqualTypeOf<Client.JobAccepted>();
  if (answer.status === "already_submitted") return answer.message;
  expectTypeOf(answer).toEqualTypeOf<Client.EndedJob>();
  for await (const event of client.stream(answer.job_id)) {
    if (event.type === "delta") expectTypeOf(event.delta).toEqualTypeOf<string>();
    // @ts-expect-error Only a failed job has an error.
    if (event.type === "completed") return event.error;
  }
}
