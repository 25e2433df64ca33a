import { describe, expectTypeOf, it } from "vitest";

import type { Job, JobResult, WebhookEvent } from "../../lib/webhooks.ts";
import type { JobResult as SchemaResult, JobView } from "../../src/schema/job.ts";

/** As it is in JSON, where what is undefined is not there. */
type InJson<T> = T extends object ? { [K in keyof T]: InJson<Exclude<T[K], undefined>> } : T;

// lib/ repeats the shapes of src/schema/, which are zod's and would bring zod into the receiver's program.
describe("the types that users import", () => {
  it("are those of the schema", () => {
    expectTypeOf<Job>().toEqualTypeOf<InJson<JobView>>();
    expectTypeOf<JobResult>().toEqualTypeOf<InJson<SchemaResult>>();
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
    case "webhook.test":
      return expectTypeOf(event.data).toEqualTypeOf<Record<string, unknown>>();
    case "dead_letter.threshold":
      return expectTypeOf(event.data.depth).toEqualTypeOf<number>();
    default:
      expectTypeOf(event.type).toExtend<string>();
      return expectTypeOf(event.data).toEqualTypeOf<unknown>();
  }
}
