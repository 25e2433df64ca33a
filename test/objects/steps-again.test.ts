import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import type { DeadLetter } from "../../src/domain/dead-letter.ts";
import type { Job } from "../../src/domain/job.ts";
import { objectName } from "../../src/ids.ts";
import type { CreateJob } from "../../src/schema/job.ts";
import type { CallModel } from "../../src/provider/call.ts";
import { configOf } from "../../src/settings/config.ts";
import { keptOf } from "../../src/submit/kept.ts";
import { resubmit } from "../../src/submit/resubmit.ts";
import { Ledger } from "./letters.ts";
import { ANSWERED, outcomeOf } from "./scripted.ts";
import { come, Echo, planned, stepsOf, submitted } from "./steps-stage.ts";
import { events, holdClock, job, lease, newName, objectOf, specOf, view } from "./support.ts";

holdClock({ ledgersToo: false });

const REQUEST: CreateJob = {
  input: "ä",
  steps: [
    { name: "note", type: "template", template: "[{{input}}]" },
    { name: "draft", type: "llm", prompt: "Write", max_attempts: 1 },
    { name: "final", type: "llm", prompt: "Mend {{steps.draft.output}}", max_attempts: 1 },
    { name: "join", type: "template", template: "{{steps.note.output}}{{steps.final.output}}" },
  ],
};

const config = configOf({ ...env, OPENAI_API_KEY: "none", AUTH_MODE: "none" });

/** Says this draft, and is then refused. */
function drafting(draft: string): CallModel {
  return (call, onText) => {
    if (call.request.prompt !== "Write") return Promise.resolve(outcomeOf({ kind: "quota" }));
    onText(draft);
    return Promise.resolve(ANSWERED);
  };
}

/** A job that has failed in its third step, and its dead letter. */
async function failed(draft: string): Promise<{ name: string; letter: DeadLetter }> {
  const id = newName();
  const name = await objectName("acme", id);
  await job(name).submit(planned(REQUEST, { id }), keptOf(REQUEST));
  await come(name, drafting(draft));
  const given = await job(name).giveUp();
  await job(name).deadLettered();
  if (given.type !== "letter") throw new Error("the job has no letter");
  return { name, letter: given.letter };
}

/** Submits it again, as its owner. The new job's object. */
async function again(name: string): Promise<string> {
  const found = await job(name).source();
  if (found.type !== "found") throw new Error(`the job is ${found.type}`);
  const told = await resubmit(found.value.origin, { env, config }, (_, door) => door.submit());
  if (told.type !== "submitted") throw new Error(told.refusals[0]?.detail);
  return objectName("acme", told.jobId);
}

describe("a job of several steps that is tried again", () => {
  it("begins at its unfinished step, and pays nothing for the others", async () => {
    const { name: old } = await failed("a draft");
    const name = await again(old);
    const echo = new Echo();
    await come(name, echo.model);
    expect(echo.asked).toEqual(["Mend a draft"]);
    const done = await view(name);
    expect(done).toMatchObject({
      status: "completed",
      attempts_made: 2,
      replay_of: expect.any(String),
    });
    expect(done.result?.content).toBe("[ä]<Mend a draft>");
    expect((await stepsOf(name)).map(({ carried, attempts }) => [carried, attempts])).toEqual([
      [true, 0],
      [true, 0],
      [undefined, 1],
      [undefined, 1],
    ]);
    const told = (await events(name)).slice(0, 4).map(({ type }) => type);
    expect(told).toEqual(["queued", "step_completed", "step_completed", "step_started"]);
  });

  it("takes an output along that no single row could hold, and once more", async () => {
    // Of characters that take two bytes each in a row, and three in what is sent.
    const draft = "→".repeat(1_200_000);
    const name = await again((await failed(draft)).name);
    await come(name, () => Promise.resolve(outcomeOf({ kind: "quota" })));
    await job(name).giveUp();
    await job(name).deadLettered();
    const last = await again(name);
    expect((await stepsOf(last))[1]).toMatchObject({
      carried: true,
      truncated: true,
      output_bytes: 3_600_000,
    });
    const found = await job(last).source();
    const dlqId = found.type === "found" ? found.value.origin.dlqId : "";
    expect((await job(last).finished(dlqId))[1]).toBe(draft);
  });

  it("by the operator takes its steps along as well, and starts anew once the job is gone", async () => {
    for (const isKept of [true, false]) {
      const { name, letter } = await failed("a draft");
      if (!isKept) await job(name).delete();
      const ledger = new Ledger();
      await ledger.configure({ OPENAI_API_KEY: "none", AUTH_MODE: "none" });
      await ledger.desk.add([letter]);
      const told = await ledger.desk.retry(letter.dlqId);
      if (told.type !== "resubmitted") throw new Error(told.type);
      const echo = new Echo();
      await come(await objectName("acme", told.newJobId), echo.model);
      expect(echo.asked).toEqual(isKept ? ["Mend a draft"] : ["Write", "Mend <Write>"]);
    }
  });
});

const TWO_CALLS = {
  steps: [
    { name: "draft", type: "llm", prompt: "Write" },
    { name: "final", type: "llm", prompt: "Mend {{steps.draft.output}}" },
  ],
} satisfies CreateJob;

describe("a job of several steps, where releases meet,", () => {
  it("is leased in no part to a consumer of a version without steps", async () => {
    const name = await submitted(TWO_CALLS);
    expect(await lease(name)).toEqual({ type: "wait", delaySeconds: 30 });
    expect(await job(name).lease("new", "openai", true)).toMatchObject({ step: { index: 0 } });
  });

  it("is not called by a consumer whose object knows no steps", async () => {
    const echo = new Echo();
    const name = newName();
    await job(name).submit(specOf(), { prompt: "x", ...TWO_CALLS });
    expect(await come(name, echo.model)).toEqual({ type: "ack" });
    expect(echo.asked).toEqual([]);
  });

  it("that was stored by a version without steps begins with its first", async () => {
    const spec = planned(TWO_CALLS);
    const name = newName();
    const { steps, ...old } = spec;
    await job(name).submit(old, { prompt: "x", ...TWO_CALLS });
    await runInDurableObject(objectOf(name), (_object, { storage }) => {
      const row = storage.kv.get<{ job: Job }>("commit:000000001");
      const stored = { ...row, job: { ...row?.job, spec: { ...old, steps } } };
      storage.kv.put("commit:000000001", stored);
    });
    await evictDurableObject(objectOf(name));
    const echo = new Echo();
    await come(name, echo.model);
    expect((await view(name)).result?.content).toBe("<Mend <Write>>");
  });
});
