import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";

import { MAX_STORED_REQUEST_BYTES } from "../../src/settings/config.ts";
import {
  ANSWER,
  completed,
  DAY_MS,
  holdClock,
  job,
  lease,
  logged,
  newName,
  NOTHING_STORED,
  objectOf,
  OUTAGE,
  page,
  partOf,
  passTime,
  queues,
  REPORT,
  REQUEST,
  specOf,
  stored,
  submitted,
  typesOf,
  wakeWhenDue,
} from "./support.ts";

holdClock();

describe("submitting", () => {
  it("keeps a prompt of a megabyte in a megabyte, though one character is beyond Latin-1", async () => {
    const name = newName();
    const request = { prompt: `€${"a".repeat(1_048_000)}` };
    await job(name).submit(specOf(), request);
    const bytes = await runInDurableObject(objectOf(name), (_job, { storage }) => {
      const [row] = storage.kv.list<{ request: Uint8Array }>();
      return row?.[1].request.byteLength;
    });
    expect(bytes).toBeLessThan(1_048_576);
    expect(await lease(name)).toMatchObject({ request });
  });

  it("takes the largest request there may be, beside the largest metadata", async () => {
    const name = newName();
    const metadata = Object.fromEntries(
      Array.from({ length: 16 }, (_, at) => [`${at}`.padStart(64, "k"), "€".repeat(512)]),
    );
    const frame = JSON.stringify({ prompt: "", metadata });
    const room = MAX_STORED_REQUEST_BYTES - new TextEncoder().encode(frame).byteLength;
    const request = { prompt: "a".repeat(room), metadata };
    const { type } = await job(name).submit(specOf({ metadata }), request);
    expect(type).toBe("accepted");
    expect(await lease(name)).toMatchObject({ request });
  });

  it("F38: accepts one of fifty concurrent submissions of an id and replays the rest (invariant 6)", async () => {
    const name = newName();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => job(name).submit(specOf(), REQUEST)),
    );
    const types = answers.map(({ type }) => type);
    expect(types.filter((type) => type === "accepted")).toHaveLength(1);
    expect(types.filter((type) => type === "replayed")).toHaveLength(49);
    expect(await typesOf(name)).toEqual(["queued"]);
    expect(queues.to(name)).toEqual(["LANE_NORMAL"]);
  });

  it("replays with the job as it is by then, whatever has become of it", async () => {
    const name = await submitted();
    await completed(name, "Because.");
    const again = await job(name).submit(specOf(), REQUEST);
    expect(again).toMatchObject({ type: "replayed", view: { status: "completed" } });
  });

  it.each([
    ["payload", { fingerprint: "sha-of-another" }],
    ["key", { idempotencyKey: "another-key-of-the-same-id" }],
  ])("refuses an id that is taken by another %s and changes nothing", async (_what, other) => {
    const name = await submitted();
    const before = await stored(name);
    expect(await job(name).submit(specOf(other), REQUEST)).toEqual({ type: "reused" });
    expect(await stored(name)).toEqual(before);
  });

  it("has stored the job and armed its alarm before anything is sent (invariant 2)", async () => {
    const name = newName();
    const seen = await runInDurableObject(objectOf(name), async (object, { storage }) => {
      const sent = queues.sent.length;
      object.submit(specOf(), REQUEST);
      expect(queues.sent).toHaveLength(sent + 1);
      return { rows: [...storage.kv.list()].length, alarm: await storage.getAlarm() };
    });
    expect(seen).toEqual({ rows: 1, alarm: Date.now() + 30_000 });
  });

  it("F2, F8: accepts with a queue that takes nothing, and its alarm rings until one does (invariant 2)", async () => {
    const name = newName();
    queues.broken = true;
    const { type } = await job(name).submit(specOf(), REQUEST);
    expect(type).toBe("accepted");
    expect(logged).toContain(
      JSON.stringify({ event: "message.unsent", object: name, error: "Error" }),
    );
    await wakeWhenDue(name);
    expect(queues.to(name)).toEqual([]);
    queues.broken = false;
    await wakeWhenDue(name);
    expect(queues.to(name)).toEqual(["LANE_NORMAL"]);
  });

  it("F40: rings ever more rarely, and at least every quarter of an hour", async () => {
    const name = await submitted();
    const waits: number[] = [];
    for (let ring = 0; ring < 7; ring++) {
      const since = Date.now();
      await wakeWhenDue(name);
      waits.push((Date.now() - since) / 1_000);
    }
    expect(waits).toEqual([30, 60, 120, 240, 480, 900, 900]);
    expect(queues.to(name)).toHaveLength(8);
  });

  it("keeps a delayed job's doorbell still until it is due", async () => {
    const name = await submitted({ runAt: Date.now() + DAY_MS });
    expect(queues.to(name)).toEqual([]);
    const dueAt = Date.now() + DAY_MS;
    expect(await lease(name)).toEqual({ type: "wait", delaySeconds: 86_400 });
    // The first alarm makes sure of the ledgers, and finds nothing else to do.
    await wakeWhenDue(name);
    expect(queues.to(name)).toEqual([]);
    expect((await stored(name)).alarm).toBe(dueAt);
    await wakeWhenDue(name);
    expect(queues.to(name)).toEqual(["LANE_NORMAL"]);
    expect(await lease(name)).toMatchObject({ type: "leased" });
  });

  it("rings in the lane it was given, with its object's name, what it needs, and no more (invariant 9)", async () => {
    const name = await submitted({ lane: "long", user: "canary-user" });
    const message = queues.sent.find(({ body }) => body.job === name);
    const since = message?.body.needs?.since;
    const needs = {
      provider: "openai",
      tenant: "acme",
      tokens: 12,
      lastsMs: 150_000,
      priority: 5,
      since,
    };
    expect(message).toEqual({ to: "LANE_LONG", body: { job: name, needs }, delaySeconds: 0 });
    expect(logged.join("\n")).not.toMatch(/canary|sky/);
  });

  it("F2: is not undone by a crash right after the answer (invariant 6)", async () => {
    const name = await submitted();
    await abortAllDurableObjects();
    const { type } = await job(name).submit(specOf(), REQUEST);
    expect(type).toBe("replayed");
    expect((await page(name, 0)).lastSeq).toBe(1);
  });
});

describe("an id that was never submitted", () => {
  it("is unknown to every method, and none of them stores anything", async () => {
    const name = newName();
    const nobody = job(name);
    expect(await nobody.read(true)).toEqual({ type: "unknown" });
    expect(await nobody.log(0)).toEqual({ type: "unknown" });
    expect(await nobody.cancel("by nobody")).toEqual({ type: "unknown" });
    expect(await nobody.lease("token")).toEqual({ type: "ignore" });
    expect(await nobody.append("token", partOf(0, "text"))).toEqual({ go: false, watched: false });
    expect(await nobody.complete("token", partOf(0, ""), ANSWER, REPORT)).toEqual({ type: "ack" });
    expect(await nobody.fail("token", OUTAGE, REPORT)).toEqual({ type: "ack" });
    expect(await nobody.giveUp()).toEqual({ type: "nothing" });
    expect(await nobody.deadLettered()).toBe(false);
    await nobody.account("token", REPORT);
    expect(await nobody.delete()).toEqual({ type: "unknown" });
    expect(await nobody.source()).toEqual({ type: "unknown" });
    expect(await nobody.attempts()).toEqual({ type: "unknown" });
    const answer = await nobody.fetch(new Request("https://job/"));
    expect(answer.status).toBe(404);
    passTime(DAY_MS);
    expect(await stored(name)).toEqual(NOTHING_STORED);
  });
});
