import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";

import { createApp } from "../../src/http/app.ts";
import { objectName } from "../../src/ids.ts";
import { ANSWER, holdQueues, job, objectOf, partOf, REPORT, REQUEST, specOf } from "./support.ts";

holdQueues();

const EVENTS = 20_000;

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
  for (const after of [0, 12_345, total - 1]) {
    const url = `https://api.example/api/jobs/long-log/events?after=${after}`;
    const answer = await createApp().fetch(new Request(url), env, createExecutionContext());
    const ids = Array.from((await answer.text()).matchAll(/^id: (\d+)$/gm), ([, id]) => Number(id));
    expect(ids).toEqual(Array.from({ length: total - after }, (_, at) => after + 1 + at));
  }
});
