import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";

import { createApp } from "../../src/http/app.ts";
import { objectName } from "../../src/ids.ts";
import type { EventPage } from "../../src/schema/event.ts";
import {
  ANSWER,
  holdQueues,
  job,
  objectOf,
  page,
  partOf,
  REPORT,
  REQUEST,
  specOf,
} from "./support.ts";

holdQueues();

const EVENTS = 20_000;

function ask(after: number, accept: string): Response | Promise<Response> {
  const url = `https://api.example/api/jobs/long-log/events?after=${after}`;
  const request = new Request(url, { headers: { accept } });
  return createApp().fetch(request, env, createExecutionContext());
}

it("a log of 20,000 events is followed from the beginning, and from anywhere, to the end", async () => {
  const name = await objectName("dev", "long-log");
  await job(name).submit(specOf({ id: "long-log", tenant: "dev" }), REQUEST);
  const token = crypto.randomUUID();
  await job(name).lease(token);
  await runInDurableObject(objectOf(name), (object) => {
    for (let part = 0; part < EVENTS; part++) object.append(token, partOf(part, "a "));
  });
  await job(name).complete(token, partOf(EVENTS, ""), ANSWER, REPORT);
  const total = EVENTS + 6;
  const { events, more } = await page(name, 0);
  const chars = events.reduce((sum, { json }) => sum + json.length, 0);
  expect([more, chars < 400_000]).toEqual([true, true]);
  for (const after of [0, 12_345, total - 1]) {
    const text = await (await ask(after, "text/event-stream")).text();
    const ids = Array.from(text.matchAll(/^id: (\d+)$/gm), ([, id]) => Number(id));
    expect(ids).toEqual(Array.from({ length: total - after }, (_, at) => after + 1 + at));
  }
  let seen = 0;
  for (let more = true; more;) {
    const { events, has_more } = await (await ask(seen, "application/json")).json<EventPage>();
    for (const { seq } of events) expect(seq).toBe(++seen);
    more = has_more;
  }
  expect(seen).toBe(total);
});
