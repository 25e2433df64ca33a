import type { ServerResponse } from "node:http";

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { JobEvent } from "../../lib/client.ts";
import { Caller } from "../../lib/caller.ts";
import { Follower, PACE, type FollowOptions, type Pace } from "../../lib/follow.ts";
import {
  all,
  framesOf,
  held,
  html,
  json,
  logOf,
  lost,
  pageOf,
  problem,
  ScriptedApi,
  serving,
  type Meeting,
} from "../support/scripted-api.ts";

/** Streams get through on this machine, however busy; the server itself says how soon to come back. */
const PATIENT: Pace = { ...PACE, retryMs: 1 };

let api: ScriptedApi;
beforeAll(async () => {
  api = await ScriptedApi.start();
});
afterAll(() => api.close());

function follow(options: FollowOptions = {}, pace = PATIENT): AsyncGenerator<JobEvent, void> {
  const caller = new Caller(api.url, undefined, undefined);
  return new Follower(caller, "job", options, null, pace).events();
}

/** A stream of just these frames, that ends then. */
function streaming(frames: Buffer[]): Meeting {
  return (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(Buffer.concat(frames));
  };
}

const cursors = () => api.asked.map(({ query }) => Number(query["after"]));
const accepted = () => api.asked.map(({ headers }) => headers.accept);

describe("a job's events", () => {
  const log = logOf(4);

  it("come by one stream, from the beginning or a cursor, and end with the terminal one", async () => {
    api.script(serving(log));
    expect(await all(follow())).toEqual(log);
    expect(await all(follow({ after: 3 }))).toEqual(log.slice(3));
    expect(await all(follow({ after: log.length }))).toEqual([]);
    expect(cursors()).toEqual([0, 3, log.length]);
    expect(accepted()).toEqual(Array.from({ length: 3 }, () => "text/event-stream"));
  });

  it("come once each and in order, at whatever byte the stream is cut", async () => {
    const frames = framesOf(log, 0);
    const whole = frames.reduce((bytes, frame) => bytes + frame.length, 0);
    for (let cut = 0; cut < whole; cut++) {
      api.script(serving(log, cut), serving(log));
      expect(await all(follow())).toEqual(log);
      let [bytes, complete] = [0, -1];
      for (const { length } of frames) if ((bytes += length) <= cut) complete += 1;
      const hasAll = complete === log.length;
      expect(cursors()).toEqual(hasAll ? [0] : [0, Math.max(0, complete)]);
    }
  }, 60_000);

  it("come one after the other as they are sent, not all at the end", async () => {
    const [hello, ...frames] = framesOf(log, 0);
    const taken: number[] = [];
    const answered: ServerResponse[] = [];
    const send = () => answered[0]?.write(frames.shift());
    api.script((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(hello);
      answered.push(response);
      send();
    });
    for await (const { seq } of follow()) {
      taken.push(seq);
      expect(frames).toHaveLength(log.length - seq);
      if (frames.length > 0) send();
    }
    expect(taken).toEqual(log.map(({ seq }) => seq));
  });

  it("that are too far on, repeated or unreadable are not handed out, but asked for again", async () => {
    const frames = framesOf(log, 0);
    const garbage = Buffer.from('data: {"seq":\n\n');
    const named = Buffer.from("event: news\ndata: x\n\n");
    api.script(
      streaming([...frames.slice(0, 3), ...frames.slice(4)]),
      streaming([...frames.slice(0, 4), garbage, ...frames.slice(4)]),
      streaming([...frames.slice(2, 5), named]),
      serving(log),
    );
    expect(await all(follow())).toEqual(log);
    expect(cursors()).toEqual([0, 2, 3, 4]);
  });

  it("are not over where something says so that does not know", async () => {
    const nothing = json(null, 204);
    const done = json({ ...pageOf(log, log.length), has_more: false });
    api.script(nothing, serving(log, 400), nothing, html, done, serving(log));
    expect(await all(follow())).toEqual(log);
    expect(api.asked.length).toBeGreaterThanOrEqual(6);
  });

  it("come by pages where streams are held back, and the server paces the pages", async () => {
    const page = (after: number) =>
      json({ ...pageOf(log, after, 2), has_more: after === 0 }, 200, { "retry-after": "0" });
    api.script(held, page(0), page(2), lost, held, page(4), serving(log));
    const pace = { ...PATIENT, firstByteMs: 100 };
    expect(await all(follow({}, pace))).toEqual(log);
    expect(cursors().slice(0, 6)).toEqual([0, 0, 2, 4, 4, 4]);
    const [stream, ask] = ["text/event-stream", "application/json"];
    expect(accepted().slice(0, 6)).toEqual([stream, ask, ask, ask, stream, ask]);
    expect(api.asked[1]?.query).toEqual({ after: "0", wait: "25" });
  });

  it("come by pages where something else answers than a stream", async () => {
    api.script(html, serving(log));
    expect(await all(follow())).toEqual(log);
    expect(accepted().slice(1)).toEqual([
      "application/json",
      "application/json",
      "application/json",
    ]);
  });

  it("go on after silence, of which heartbeats are none", async () => {
    const [hello, first, ...rest] = framesOf(log, 0);
    const pace = { ...PATIENT, silenceMs: 300 };
    let beats = 0;
    api.script((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(Buffer.concat([hello ?? Buffer.of(), first ?? Buffer.of()]));
      const heartbeat = setInterval(() => {
        response.write(": still here\n\n");
        if (++beats === 10) clearInterval(heartbeat);
      }, 100);
    }, serving(log));
    expect(rest).not.toEqual([]);
    expect(await all(follow({}, pace))).toEqual(log);
    expect(beats).toBe(10);
    expect(cursors()).toEqual([0, 1]);
  });

  it("wait for a reader that is slow, and do not take it for silence", async () => {
    api.script(serving(log));
    const seen: number[] = [];
    for await (const { seq } of follow({}, { ...PATIENT, silenceMs: 50 })) {
      seen.push(seq);
      if (seq < 3) await new Promise((resolve) => setTimeout(resolve, 80));
    }
    expect(seen).toEqual(log.map(({ seq }) => seq));
    expect(cursors()).toEqual([0]);
  });

  it("are told of when they are cut off, and when they come again", async () => {
    const told: boolean[] = [];
    const down = problem(503, "unavailable", { "retry-after": "0" });
    api.script(down, down, serving(log, 400), lost, serving(log));
    await all(follow({ onConnection: (isConnected) => told.push(isConnected) }));
    expect(told).toEqual([false, true, false, true]);
  });
});

describe("a reader that leaves", () => {
  const log = logOf(4);

  it("closes the connection, by leaving the loop", async () => {
    const [hello, first] = framesOf(log, 0);
    api.script((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(Buffer.concat([hello ?? Buffer.of(), first ?? Buffer.of()]));
    });
    for await (const event of follow()) {
      expect(event).toEqual(log[0]);
      break;
    }
    await api.asked[0]?.closed;
  });

  it.each([
    ["before it begins", serving(log), 0],
    ["while the stream is silent", serving(log.slice(0, -1), 200), 1],
    ["while nothing answers", held, 1],
    ["while it waits for another try", problem(503, "unavailable", { "retry-after": "30" }), 1],
  ] as const)("gets its own reason %s", async (_when, meeting, asked) => {
    const left = new AbortController();
    const reason = new Error("The reader has left");
    if (asked === 0) left.abort(reason);
    api.script(async (response, request) => {
      await meeting(response, request);
      setImmediate(() => left.abort(reason));
    });
    await expect(all(follow({ signal: left.signal }))).rejects.toBe(reason);
    expect(api.asked).toHaveLength(asked);
    for (const { closed } of api.asked) await closed;
  });
});

/** What a network and a server in trouble do to one request. */
const troubles = fc.oneof(
  fc.nat(2_000).map((cut) => (log: JobEvent[]) => serving(log, cut)),
  fc.constantFrom(
    () => lost,
    () => html,
    () => held,
    () => problem(503, "unavailable", { "retry-after": "0" }),
    () => problem(429, "too-many-requests", { "retry-after": "0" }),
    () => json("down", 502),
    (log: JobEvent[]): Meeting =>
      (response, asked) =>
        // It forgets the cursor.
        serving(log)(response, { ...asked, query: {} }),
    (log: JobEvent[]): Meeting =>
      (response, asked) => {
        // It begins too late.
        const after = Math.min(Number(asked.query["after"]) + 1, log.length - 1);
        return serving(log)(response, { ...asked, query: { after: `${after}` } });
      },
  ),
);

it("whatever happens on the way, each event comes once and in order", async () => {
  const pace = { ...PATIENT, firstByteMs: 40, heldSeconds: 0, pageMs: 40 };
  await fc.assert(
    fc.asyncProperty(
      fc.nat(12),
      fc.array(troubles, { maxLength: 6 }),
      fc.nat(4),
      async (deltas, meetings, after) => {
        const log = logOf(deltas);
        const cursor = Math.min(after, log.length);
        api.script(...meetings.map((meet) => meet(log)), serving(log));
        expect(await all(follow({ after: cursor }, pace))).toEqual(log.slice(cursor));
      },
    ),
    { numRuns: 150 },
  );
}, 120_000);
