import { expect } from "vitest";

import type { Api } from "./api.ts";
import { expectJson } from "./api.ts";
import type { Canaries } from "./canaries.ts";
import { answer } from "./receiver-behaviour.ts";
import type { Receiver } from "./receiver.ts";
import type { Refusals } from "./refusals.ts";

/** The life of a job of several steps, with a canary in everything it says and is told, and all that is refused about one. */
export async function liveInSteps(
  caller: Api,
  receiver: Receiver,
  canaries: Canaries,
  refusals: Refusals,
): Promise<void> {
  const input = canaries.plant("input of the steps");
  const words = canaries.plant("words of a template");
  const found = canaries.plant("answer to a step");
  const comment = canaries.plant("comment of an approval");
  const data = canaries.plant("data of an approval");
  const header = canaries.plant("header of a step", { plain: true });
  const path = canaries.plant("path of a step", { plain: true });
  const headers = { authorization: `Bearer ${header}` };
  receiver.plan(`/found/${path}`, answer(200, {}, found));
  receiver.plan(`/sent/${path}`, answer(404, {}, found), answer(200, {}, found));
  const asks = { type: "http", name: "ask", url: receiver.url(`/found/${path}`), headers };
  const steps = [
    asks,
    { type: "llm", name: "draft", prompt: `${words} {{input}} {{steps.ask.output}}` },
    { type: "approval", name: "approve", message: `${words} {{steps.draft.output}}` },
    {
      type: "http",
      name: "send",
      method: "POST",
      url: receiver.url(`/sent/${path}`),
      headers,
      body: `{"words": ${JSON.stringify(words)}, "by": "{{steps.approve.json.comment}}"}`,
    },
  ];
  const { job_id } = await caller.submit({ input, steps });
  const waiting = await caller.readUntil(job_id, ({ waiting_for }) => waiting_for !== undefined);
  const request_id = waiting.waiting_for?.request_id;
  const yes = { request_id, approved: true, comment, data };
  const refusedAnswers: [object, number][] = [
    [{ ...yes, request_id: path }, 409],
    [{ ...yes, approved: data }, 400],
    [{ ...yes, comment: comment.repeat(30) }, 400],
    [{ ...yes, data: data.repeat(500) }, 413],
  ];
  const to = `/api/jobs/${job_id}/input`;
  for (const [body, status] of refusedAnswers) {
    expect(await refusals.send(caller, ["POST", to], body)).toBe(status);
  }
  await expectJson(await caller.post(to, yes), 200);
  expect(await refusals.send(caller, ["POST", to], { ...yes, data: input })).toBe(409);
  const failed = await caller.ended(job_id);
  const attempts = await caller.attempts(job_id);
  refusals.texts.push(`${failed.error} ${failed.error_code}`, JSON.stringify(attempts));
  const again = await caller.retry(job_id);
  expect(await caller.ended(again.job_id)).toMatchObject({ result: { content: found } });
  const [unread, template] = [
    { type: "llm", name: "b" },
    { type: "template", name: "a" },
  ];
  const refusedJobs: [object, number][] = [
    [{ steps: [{ ...asks, url: `http://10.0.0.1/${path}` }] }, 422],
    [{ steps: [{ ...asks, headers: { host: header } }] }, 400],
    [{ steps: [{ ...asks, headers: { "x-a": `${header}\n` } }] }, 400],
    [{ steps: [{ ...asks, body: data }] }, 400],
    [{ steps: [{ ...asks, max_bytes: words }] }, 400],
    [{ steps: [{ ...unread, prompt: `${words} {{steps.later.output}}` }], input }, 400],
    [{ steps: [{ ...template, template: `${words} {{#input}} ${input}` }] }, 400],
    [{ prompt: words, input }, 400],
  ];
  for (const [body, status] of refusedJobs) {
    expect(await refusals.send(caller, ["POST", "/api/jobs"], body)).toBe(status);
  }
}
