import { describe, expect, it } from "vitest";

import { objectName, replayIdFor } from "../../src/ids.ts";
import { jobsThatAnswerAfter, jobsThatAre, Ledger, letterOf } from "./letters.ts";
import { events, holdClock, newName, objectOf, queues, REQUEST } from "./support.ts";

holdClock({ ledgersToo: false });

describe("a letter's retry", () => {
  it("submits one job at priority 1 and closes the letter, however often it is asked for", async () => {
    const ledger = new Ledger();
    const letter = letterOf({ request: { ...REQUEST, priority: 9, delay_seconds: 60 } });
    await ledger.desk.add([letter]);
    const first = await Promise.all([1, 2, 3].map(() => ledger.desk.retry(letter.dlqId)));
    await ledger.evict();
    const answers = [...first, await ledger.desk.retry(letter.dlqId)];
    const newJobId = await replayIdFor(letter.dlqId);
    const expected = { type: "resubmitted", jobId: letter.jobId, newJobId };
    expect(answers).toEqual([expected, expected, expected, expected]);
    expect(await ledger.depth()).toBe(0);
    const name = await objectName("acme", newJobId);
    expect(queues.to(name)).toEqual(["LANE_HIGH"]);
    expect((await events(name)).map(({ type }) => type)).toEqual(["queued"]);
    const view = await objectOf(name).read(false);
    expect(view).toMatchObject({ value: { job_id: newJobId, priority_level: 1 } });
  });

  it("that dies between the submission and the letter's end makes the same job again", async () => {
    const ledger = new Ledger();
    const letter = letterOf();
    await ledger.desk.add([letter]);
    const first = await ledger.desk.retry(letter.dlqId);
    // As it was before the letter's end was stored.
    await ledger.inside((_, { sql }) => sql.exec("DELETE FROM handled_letter").toArray());
    await ledger.desk.add([letter]);
    expect(await ledger.desk.retry(letter.dlqId)).toEqual(first);
    expect(await ledger.depth()).toBe(0);
  });

  it("of what is no longer to be had is refused with the reasons, and the letter stays", async () => {
    const ledger = new Ledger();
    const letter = letterOf({ request: { prompt: "x", model: "taken-off-the-list" } });
    await ledger.desk.add([letter]);
    expect(await ledger.desk.retry(letter.dlqId)).toMatchObject({
      type: "refused",
      refusals: [{ pointer: "/model", detail: expect.stringContaining("taken-off-the-list") }],
    });
    expect(await ledger.depth()).toBe(1);
  });

  it.each([
    ["gone", "that new job is gone"],
    ["reused", "Another job has the id"],
  ] as const)("whose new job is %s is refused, and the letter stays", async (type, reason) => {
    const ledger = new Ledger();
    const letter = letterOf();
    await ledger.desk.add([letter]);
    await ledger.configure({ JOBS: jobsThatAre(type) });
    const detail = expect.stringContaining(reason) as string;
    const expected = { type: "refused", refusals: [{ pointer: "", detail }] };
    expect(await ledger.desk.retry(letter.dlqId)).toEqual(expected);
    const { operationId } = await ledger.desk.start("retry", { filter: {} }, 1);
    await ledger.finish(operationId);
    const operation = await ledger.desk.operation(operationId);
    const errors = [{ dlqId: letter.dlqId, detail }];
    expect(operation).toMatchObject({ matched: 1, done: 0, refused: 1, errors });
    expect(await ledger.depth()).toBe(1);
  });

  it("of an id nobody knows, or of a letter that was discarded, is unknown", async () => {
    const ledger = new Ledger();
    const letter = letterOf();
    await ledger.desk.add([letter]);
    expect(await ledger.desk.discard(letter.dlqId)).toBe(true);
    expect(await ledger.desk.discard(letter.dlqId)).toBe(false);
    for (const dlqId of [letter.dlqId, newName()]) {
      expect(await ledger.desk.retry(dlqId)).toEqual({ type: "unknown" });
      expect(await ledger.desk.read(dlqId)).toBeNull();
    }
  });

  it("ends with the new job's id though the letter was discarded while it was being submitted", async () => {
    const ledger = new Ledger();
    const letter = letterOf();
    await ledger.desk.add([letter]);
    await ledger.configure({
      JOBS: jobsThatAnswerAfter(() => ledger.desk.discard(letter.dlqId)),
    });
    const first = await ledger.desk.retry(letter.dlqId);
    expect(first).toMatchObject({ type: "resubmitted", jobId: letter.jobId });
    expect(await ledger.desk.retry(letter.dlqId)).toEqual(first);
    expect(await ledger.depth()).toBe(0);
  });

  it("leaves nothing of a job that its owner deleted while it was being submitted", async () => {
    const ledger = new Ledger();
    const letter = letterOf();
    await ledger.desk.add([letter]);
    await ledger.configure({ JOBS: jobsThatAnswerAfter(() => ledger.desk.remove(letter.dlqId)) });
    await ledger.desk.retry(letter.dlqId);
    expect(await ledger.desk.retry(letter.dlqId)).toEqual({ type: "unknown" });
    const marks = await ledger.inside((_, { sql }) =>
      sql.exec("SELECT job_id, new_job_id FROM handled_letter").toArray(),
    );
    expect(marks).toEqual([{ job_id: null, new_job_id: null }]);
  });
});

describe("a letter whose owner tried the job again", () => {
  it.each([
    ["is closed", () => Promise.resolve()],
    [
      "and that was discarded before",
      (ledger: Ledger, dlqId: string) => ledger.desk.discard(dlqId),
    ],
  ])("%s, and an operator's retry answers with that new job", async (_, befall) => {
    const ledger = new Ledger();
    const letter = letterOf();
    await ledger.desk.add([letter]);
    await befall(ledger, letter.dlqId);
    const newJobId = newName();
    for (let times = 0; times < 2; times++) await ledger.desk.retried(letter.dlqId, newJobId);
    await ledger.evict();
    expect(await ledger.depth()).toBe(0);
    await ledger.desk.add([letter]);
    expect(await ledger.depth()).toBe(0);
    const expected = { type: "resubmitted", jobId: letter.jobId, newJobId };
    expect(await ledger.desk.retry(letter.dlqId)).toEqual(expected);
  });

  it("is none of the ledger's if it is not known or was deleted", async () => {
    const ledger = new Ledger();
    const [deleted, late] = [letterOf(), letterOf()];
    await ledger.desk.add([deleted]);
    await ledger.desk.remove(deleted.dlqId);
    for (const { dlqId } of [deleted, late]) await ledger.desk.retried(dlqId, newName());
    expect(await ledger.desk.retry(deleted.dlqId)).toEqual({ type: "unknown" });
    await ledger.desk.add([deleted, late]);
    expect(await ledger.all()).toMatchObject([{ dlqId: late.dlqId }]);
  });
});
