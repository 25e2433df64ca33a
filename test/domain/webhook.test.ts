import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { eventsAskedFor, isTerminal, webhookEventOf } from "../../src/domain/webhook.ts";
import { JobWebhookEvent } from "../../src/schema/delivery.ts";
import { JobEvent } from "../../src/schema/event.ts";

const ENDS = ["job.completed", "job.failed", "job.cancelled"];

describe("the events a webhook is told of", () => {
  it.each<[JobWebhookEvent[] | undefined, JobWebhookEvent[]]>([
    [undefined, []],
    [[], []],
    [["job.started"], ["job.started"]],
    [
      ["job.progress", "job.started"],
      ["job.progress", "job.started"],
    ],
    [["job.completed"], []],
    [["job.started", "job.failed", "job.started"], ["job.started"]],
  ])("%j are those three and %j", (asked, besides) => {
    const events = asked === undefined ? {} : { webhook_events: asked };
    const told = eventsAskedFor({ prompt: "?", ...events });
    expect(told.toSorted()).toEqual([...besides, ...ENDS].toSorted());
  });

  it("hold every end and all that was named, and none of them twice", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...JobWebhookEvent.options)), (named) => {
        const told = eventsAskedFor({ prompt: "?", webhook_events: named });
        expect(told).toEqual(expect.arrayContaining([...ENDS, ...named]));
        expect(new Set(told).size).toBe(told.length);
      }),
    );
  });
});

describe("a log event", () => {
  const types = JobEvent.options.map(({ shape }) => shape.type.value);

  it.each(types)("that is %s is delivered by its own name or never", (type) => {
    const told = webhookEventOf({ type } as Parameters<typeof webhookEventOf>[0]);
    const name = JobWebhookEvent.safeParse(`job.${type}`);
    expect(told).toBe(name.success ? name.data : null);
  });

  it("ends its job under these names and no others", () => {
    expect(JobWebhookEvent.options.filter(isTerminal)).toEqual(ENDS);
  });
});
