import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";

import { objectName } from "../../src/ids.ts";
import type { Call } from "../support/faulty.ts";
import {
  events,
  holdClock,
  lines,
  newName,
  passTime,
  queues,
  submitted,
  typesOf,
  view,
  wakeWhenDue,
} from "./support.ts";
import {
  answered,
  deliver,
  envWith,
  provide,
  refused,
  request,
  straight,
  submission,
} from "./worker-side.ts";

holdClock();
afterEach(() => {
  vi.unstubAllGlobals();
});

/** The way to every object, on which the answers to the first `times` calls of this method are lost. */
function losingAnswers(lost: (method: string) => boolean, times = 1): (name: string) => Call {
  let left = times;
  return (name) => async (method, args) => {
    const answer = await straight(name)(method, args);
    if (!lost(method) || left === 0) return answer;
    left--;
    throw Object.assign(new Error("Network connection lost"), { retryable: true });
  };
}

/** The way on which calls to some objects never arrive. */
function cutOffFrom(unreachable: string): (name: string) => Call {
  return (name) =>
    name === unreachable ? () => Promise.reject(new Error("overloaded")) : straight(name);
}

/** Counts the calls of a provider that answers. */
function counted(): { calls: number } {
  const seen = { calls: 0 };
  provide(() => {
    seen.calls++;
    return answered();
  });
  return seen;
}

const JOB = { prompt: "Why is the sky blue?" };

describe("an answer that is lost on its way back", () => {
  it("F2: to a submission leaves one job, which the same key finds again (invariants 2 and 6)", async () => {
    const lossy = envWith(losingAnswers((method) => method === "submit"));
    const key = newName();
    const ask = () => request(lossy, "/api/jobs", submission(key, JOB));
    const first = await ask();
    expect(first.status).toBe(503);
    expect(first.headers.get("retry-after")).toBe("1");
    const second = await ask();
    expect(second.status).toBe(200);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    const seen = counted();
    const name = await objectName("dev", key);
    await deliver(lossy, "jobs-normal", [{ job: name }]);
    expect(await view(name)).toMatchObject({ job_id: key, status: "completed", attempts_made: 1 });
    expect(seen.calls).toBe(1);
  });

  it("F5: to the last word brings it again, and the job has ended once (invariant 1)", async () => {
    const name = await submitted({ maxAttempts: 1 });
    provide(refused(500));
    await deliver(envWith(straight), "jobs-normal", [{ job: name }]);
    const lossy = envWith(losingAnswers((method) => method === "deadLettered"));
    expect((await deliver(lossy, "jobs-dead-letter", [{ job: name }])).retried).toEqual(["0"]);
    const before = await lines(name);
    expect((await deliver(lossy, "jobs-dead-letter", [{ job: name }])).acked).toEqual(["0"]);
    expect(await lines(name)).toEqual(before);
    expect((await typesOf(name)).filter((type) => type === "failed")).toHaveLength(1);
  });
});

describe("a message", () => {
  it.each([
    ["completed", answered],
    ["failed", refused(400)],
  ])(
    "F7: that comes minutes after its job has %s changes nothing (invariants 1 and 3)",
    async (status, answer) => {
      const name = await submitted();
      provide(answer);
      const way = envWith(straight);
      await deliver(way, "jobs-normal", [{ job: name }]);
      await deliver(way, "jobs-dead-letter", [{ job: name }]);
      const before = await lines(name);
      const seen = counted();
      passTime(600_000);
      const late = await Promise.all(
        ["jobs-normal", "jobs-dead-letter", "jobs-normal"].map((queue) =>
          deliver(way, queue, [{ job: name }, { job: name }]),
        ),
      );
      expect(late.map(({ acked }) => acked)).toEqual([0, 1, 2].map(() => ["0", "1"]));
      expect(seen.calls).toBe(0);
      expect(await lines(name)).toEqual(before);
      expect(await view(name)).toMatchObject({ status });
    },
  );

  it("F7: that overtakes the one before it finds the job as it is (invariant 3)", async () => {
    const name = await submitted();
    provide(refused(503));
    const way = envWith(straight);
    await deliver(way, "jobs-normal", [{ job: name }]);
    const seen = counted();
    // The one from the submission comes again before the retry's is due, and once more after it was served.
    const early = await deliver(way, "jobs-normal", [{ job: name }]);
    expect(early.retried).toEqual(["0"]);
    passTime(60_000);
    await deliver(way, "jobs-normal", [{ job: name }]);
    expect((await deliver(way, "jobs-normal", [{ job: name }])).acked).toEqual(["0"]);
    expect(seen.calls).toBe(1);
    expect(await view(name)).toMatchObject({ status: "completed", attempts_made: 2 });
  });
});

it("F10: of a batch only the message whose job cannot be reached comes back (invariant 3)", async () => {
  const names = await Promise.all([submitted(), submitted(), submitted()]);
  const seen = counted();
  const bodies = names.map((name) => ({ job: name }));
  const cut = envWith(cutOffFrom(names[1] ?? ""));
  // Once more whatever had been settled before: what is redelivered finds nothing to do.
  for (const batch of [bodies, bodies.toReversed()]) {
    const { acked, retried } = await deliver(cut, "jobs-normal", batch);
    expect(acked.toSorted()).toEqual(["0", "2"]);
    expect(retried).toEqual(["1"]);
  }
  expect(seen.calls).toBe(2);
  const statuses = await Promise.all(names.map(async (name) => (await view(name)).status));
  expect(statuses).toEqual(["completed", "queued", "completed"]);
}, 15_000);

describe("a provider that is down for an hour", () => {
  it("F40: costs no job more than its calls, and whoever has some left when it is back is answered (invariants 2 and 3)", async () => {
    const limits = [1, 2, 3, 4, 9, 10];
    const patient = { baseMs: 60_000, maxMs: 900_000 };
    const names = await Promise.all(
      limits.map((maxAttempts) => submitted({ maxAttempts, backOff: patient })),
    );
    const bodies = names.map((name) => ({ job: name }));
    const backAt = Date.now() + 3_600_000;
    let calls = 0;
    provide(() => {
      calls++;
      return Date.now() < backAt ? refused(503)() : answered();
    });
    const way = envWith(straight);
    while (Date.now() < backAt + 3_600_000) {
      await deliver(way, "jobs-normal", bodies);
      passTime(300_000);
    }
    await deliver(way, "jobs-dead-letter", bodies);
    const ended = await Promise.all(names.map((name) => view(name)));
    const statuses = ended.map(({ status }) => status);
    expect(statuses).toEqual(limits.map((limit) => (limit < 5 ? "failed" : "completed")));
    const made = ended.map(({ attempts_made }) => attempts_made);
    expect(made.every((attempts, at) => attempts <= (limits[at] ?? 0))).toBe(true);
    expect(calls).toBe(made.reduce((sum, attempts) => sum + attempts, 0));
  });

  it("F40: with nobody to serve the backlog ends its jobs when their time to start is over (invariant 2)", async () => {
    const startBy = Date.now() + 3_600_000;
    const names = await Promise.all([1, 2, 3].map(() => submitted({ startBy })));
    for (const name of names) {
      while ((await view(name)).status === "queued") await wakeWhenDue(name);
      // Rung again and again, but ever more rarely: an outage does not flood its queue.
      expect(queues.to(name).length).toBeLessThan(12);
    }
    for (const name of names)
      while ((await view(name)).status !== "failed") await wakeWhenDue(name);
    const ends = await Promise.all(names.map(async (name) => (await events(name)).at(-1)));
    expect(ends.every((end) => end?.type === "failed" && end.error_code === "expired")).toBe(true);
  });
});

describe("what jobs do not depend on", () => {
  it("F42: objects that know things across jobs may all be out of reach: a job is served and ends (invariant 2)", async () => {
    const down = { getByName: outOfReach, get: outOfReach, idFromName: String };
    const LEDGERS = { LISTINGS: down, LETTERS: down, CLAIMS: down, STATS: down };
    const way = { ...envWith(straight), ...LEDGERS } as unknown as Env;
    for (const [answer, status] of [
      [answered, "completed"],
      [refused(400), "failed"],
    ] as const) {
      const key = newName();
      expect((await request(way, "/api/jobs", submission(key, JOB))).status).toBe(202);
      const name = await objectName("dev", key);
      provide(answer);
      await deliver(way, "jobs-normal", [{ job: name }]);
      while ((await view(name)).status !== status) await wakeWhenDue(name);
    }
  });

  it.each([
    ["cannot be read", { AUTH_MODE: "keys", ADMIN_API_KEY: "too-short" }, 500],
    ["lacks its root", { AUTH_MODE: "keys", SIGNING_KEY: undefined }, 500],
    ["names nobody", { AUTH_MODE: "keys" }, 401],
    ["is not there", { AUTH_MODE: undefined }, 401],
  ])(
    "F42: who may ask, where that %s, is nobody: nothing is accepted, read or cancelled",
    async (_, settings, status) => {
      const keys = { SIGNING_KEY: "k".repeat(32), ADMIN_API_KEY: undefined };
      const way = { ...envWith(straight), ...keys, ...settings } as unknown as Env;
      const key = newName();
      const asked = [
        request(way, "/api/jobs", submission(key, JOB)),
        request(way, `/api/jobs/${key}`),
        request(way, `/api/jobs/${key}/cancel`, { method: "POST" }),
        request(way, `/api/jobs/${key}/events`),
      ];
      expect((await Promise.all(asked)).map((answer) => answer.status)).toEqual(
        asked.map(() => status),
      );
      expect(await env.JOBS.getByName(await objectName("dev", key)).read(false)).toEqual({
        type: "unknown",
      });
    },
  );
});

function outOfReach(): object {
  return new Proxy({}, { get: () => () => Promise.reject(new Error("overloaded")) });
}
