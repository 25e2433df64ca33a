import { once } from "node:events";
import { EventSource } from "eventsource";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Subscription } from "../../src/schema/token.ts";
import { allFrames, Api, expectJson, expectProblem, isTerminal } from "../support/api.ts";
import { Batches } from "../support/batches.ts";
import { refusedUpgrade, SocketFollower } from "../support/follow-socket.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const ADMIN_API_KEY = "admin-key-canary-0123456789-0123456789";
const TOKEN_SECONDS = 4;

let journey: Journey;
/** Its own backend, with the key; `journey.api` is a browser, without. */
let admin: Api;
beforeAll(async () => {
  const vars = { AUTH_MODE: "keys", SUBSCRIBE_TOKEN_SECONDS: String(TOKEN_SECONDS) };
  journey = await startJourney(vars, { ADMIN_API_KEY, SIGNING_KEY });
  admin = new Api(journey.product.url, { authorization: `Bearer ${ADMIN_API_KEY}` });
});
afterAll(() => journey.close());

/** Every token there was, to look for in the logs. */
const issued: string[] = [];

async function submitted(job: object = {}) {
  const accepted = await admin.submit({ prompt: freshPrompt(), ...job });
  issued.push(accepted.subscribe_token);
  return accepted;
}

const waiting = () => submitted({ delay_seconds: 600 });

async function freshOf(jobId: string): Promise<Subscription> {
  const answer = await admin.fetch(`/api/jobs/${jobId}/tokens`, { method: "POST" });
  return expectJson<Subscription>(answer, 201);
}

function socketWith(token: string, path: string): Promise<SocketFollower> {
  return SocketFollower.open(journey.api.url, path, {}, ["jobs.v1", `bearer.${token}`]);
}

describe("a subscribe token", () => {
  it.concurrent("opens the job's stream, as the events_url of its submission has it", async () => {
    const { job_id, events_url } = await submitted();
    const frames = await allFrames(await journey.api.fetch(events_url));
    const events = frames.flatMap(({ id, data = "" }) => (id === undefined ? [] : [data]));
    expect(events.map((data) => JSON.parse(data) as unknown)).toEqual(await admin.log(job_id));
  });

  it.concurrent("opens sockets as a subprotocol, of which only jobs.v1 comes back", async () => {
    const { job_id, subscribe_token } = await submitted();
    const one = await socketWith(subscribe_token, `/ws/jobs/${job_id}`);
    expect(one.socket.protocol).toBe("jobs.v1");
    expect(await one.closed).toBe(1000);
    const log = await admin.log(job_id);
    expect(one.events).toEqual(log);
    const many = await socketWith(subscribe_token, "/ws");
    many.say({ type: "subscribe", job_id });
    await many.frame((frame) => frame.includes("job_completed"));
    expect(many.eventsOf(job_id)).toEqual(log);
    many.socket.terminate();
  });

  it.concurrent("is never repeated, whatever else is offered with it", async () => {
    const { job_id, subscribe_token } = await waiting();
    const url = `${journey.api.url}/ws/jobs/${job_id}`;
    const upgrade = {
      connection: "upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const { request } = await import("node:http");
    const offers = [`bearer.${subscribe_token}`, `other, bearer.${subscribe_token},jobs.v1`];
    for (const [at, offered] of offers.entries()) {
      const asked = request(url, { headers: { ...upgrade, "sec-websocket-protocol": offered } });
      asked.end();
      const [answer, socket] = (await once(asked, "upgrade")) as [
        { statusCode: number; headers: Record<string, string> },
        { destroy: () => void },
      ];
      expect(answer.statusCode).toBe(101);
      expect(answer.headers["sec-websocket-protocol"]).toBe(at === 0 ? undefined : "jobs.v1");
      expect(JSON.stringify(answer.headers)).not.toContain(subscribe_token);
      socket.destroy();
    }
  });

  it.concurrent("opens its own job only; any other is as unknown as it can be", async () => {
    const { subscribe_token } = await waiting();
    const other = await waiting();
    const answer = await journey.api.fetch(
      `/api/jobs/${other.job_id}/events?token=${subscribe_token}`,
    );
    await expectProblem(answer, 404, "job-not-found");
    const protocols = ["jobs.v1", `bearer.${subscribe_token}`];
    const path = `/ws/jobs/${other.job_id}`;
    expect(await refusedUpgrade(journey.api.url, path, protocols)).toBe(404);
    const many = await socketWith(subscribe_token, "/ws");
    for (const job_id of [other.job_id, "unknown", "a b"]) {
      many.say({ type: "subscribe", job_id });
      const refusal = await many.frame((frame) => frame.includes(job_id));
      expect(JSON.parse(refusal)).toEqual({ type: "error", job_id, message: "Job not found" });
    }
    many.socket.terminate();
  });

  it.concurrent("reads, and nothing else", async () => {
    const { job_id, subscribe_token } = await waiting();
    const asks: [string, string][] = [
      ["GET", `/api/jobs/${job_id}`],
      ["GET", `/api/jobs/${job_id}/attempts`],
      ["GET", "/api/jobs"],
      ["POST", `/api/jobs/${job_id}/cancel`],
      ["POST", `/api/jobs/${job_id}/tokens`],
      ["POST", "/api/jobs"],
      ["DELETE", `/api/jobs/${job_id}`],
    ];
    for (const [method, path] of asks) {
      const byQuery = await journey.api.fetch(`${path}?token=${subscribe_token}`, { method });
      await expectProblem(byQuery, 401, "unauthorized");
      const headers = { authorization: `Bearer ${subscribe_token}` };
      const byHeader = await journey.api.fetch(path, { method, headers });
      await expectProblem(byHeader, 401, "unauthorized");
    }
    expect((await admin.read(job_id)).status).toBe("queued");
  });

  it.concurrent("that is not ours is refused before anything is told", async () => {
    const { job_id, subscribe_token } = await waiting();
    for (const wrong of ["canary", "", subscribe_token.slice(0, -1), `${subscribe_token}x`]) {
      const answer = await journey.api.fetch(`/api/jobs/${job_id}/events?token=${wrong}`);
      await expectProblem(answer, 401, "unauthorized");
      const protocols = ["jobs.v1", `bearer.${wrong === "" ? "none" : wrong}`];
      for (const path of [`/ws/jobs/${job_id}`, "/ws"]) {
        expect(await refusedUpgrade(journey.api.url, path, protocols)).toBe(401);
      }
    }
  });

  it.concurrent("of a batch opens that batch's stream, until it expires, and nothing of any job", async () => {
    const batches = new Batches(admin);
    // A batch and a job of one id are two things.
    const { job_id } = await waiting();
    const requests = [{ prompt: freshPrompt(), delay_seconds: 600 }];
    const { events_url } = await batches.submit({ requests }, job_id);
    const answer = await admin.fetch(`/api/batches/${job_id}/tokens`, { method: "POST" });
    const fresh = await expectJson<Subscription>(answer, 201);
    const [, accepted = ""] = events_url.split("?token=");
    issued.push(accepted, fresh.subscribe_token);
    const seen = [events_url, fresh.events_url].map(async (url) => {
      const frames = await allFrames(await journey.api.fetch(url));
      expect(frames.filter(({ id }) => id !== undefined)).toMatchObject([{ id: "1" }]);
      await expectProblem(await journey.api.fetch(url), 401, "unauthorized");
    });
    await Promise.all(seen);
    const stranger = await waiting();
    const byJobs = (token: string) =>
      journey.api.fetch(`/api/batches/${job_id}/events?token=${token}`);
    await expectProblem(await byJobs(stranger.subscribe_token), 404, "batch-not-found");
    await expectProblem(
      await byJobs((await freshOf(job_id)).subscribe_token),
      404,
      "batch-not-found",
    );
    const again = await admin.fetch(`/api/batches/${job_id}/tokens`, { method: "POST" });
    const { subscribe_token: token } = await expectJson<Subscription>(again, 201);
    const asJobs = await journey.api.fetch(`/api/jobs/${job_id}/events?token=${token}`);
    await expectProblem(asJobs, 404, "job-not-found");
    const read = await journey.api.fetch(`/api/batches/${job_id}?token=${token}`);
    await expectProblem(read, 401, "unauthorized");
  });

  it.concurrent("may be asked for afresh by whoever has the key", async () => {
    const { job_id } = await submitted();
    const answer = await admin.fetch(`/api/jobs/${job_id}/tokens`, { method: "POST" });
    const fresh = await expectJson<Subscription>(answer, 201);
    issued.push(fresh.subscribe_token);
    expect(fresh.events_url).toBe(`/api/jobs/${job_id}/events?token=${fresh.subscribe_token}`);
    const frames = await allFrames(await journey.api.fetch(fresh.events_url));
    expect(frames.at(-1)?.data).toContain('"type":"completed"');
    const none = await admin.fetch("/api/jobs/none/tokens", { method: "POST" });
    await expectProblem(none, 404, "job-not-found");
  });
});

describe("a subscribe token that expires", () => {
  it.concurrent("ends the stream it has opened, and opens none again", async () => {
    const { events_url } = await waiting();
    const frames = await allFrames(await journey.api.fetch(events_url));
    expect(frames.at(-1)?.data).toContain('"type":"queued"');
    await expectProblem(await journey.api.fetch(events_url), 401, "unauthorized");
  });

  it.concurrent("closes sockets with 4401, and its job goes on", async () => {
    const { job_id, subscribe_token } = await submitted({ delay_seconds: TOKEN_SECONDS + 1 });
    const one = await socketWith(subscribe_token, `/ws/jobs/${job_id}`);
    const many = await socketWith(subscribe_token, "/ws");
    many.say({ type: "subscribe", job_id });
    expect(await Promise.all([one.closed, many.closed])).toEqual([4401, 4401]);
    expect(one.events.map(({ type }) => type)).toEqual(["queued"]);
    expect((await admin.ended(job_id)).status).toBe("completed");
  });

  it.concurrent("answers a page that waits, and stops an EventSource for good", async () => {
    const { events_url } = await waiting();
    const headers = { accept: "application/json" };
    const page = journey.api.fetch(`${events_url}&after=1&wait=60`, { headers });
    const source = new EventSource(`${journey.api.url}${events_url}`);
    const errors: unknown[] = [];
    source.addEventListener("error", ({ code }) => errors.push(code));
    await expect.poll(() => source.readyState, { timeout: 20_000 }).toBe(EventSource.CLOSED);
    expect(errors.at(-1)).toBe(401);
    expect(await expectJson(await page, 200)).toMatchObject({ status: "queued", events: [] });
  });

  it.concurrent("expires for nobody who came with the key", async () => {
    const { job_id } = await submitted({ delay_seconds: TOKEN_SECONDS + 1 });
    const headers = { authorization: `Bearer ${ADMIN_API_KEY}` };
    const socket = await SocketFollower.open(journey.api.url, `/ws/jobs/${job_id}`, headers);
    const log = await admin.log(job_id);
    expect(log.some(isTerminal)).toBe(true);
    expect(await socket.closed).toBe(1000);
    expect(socket.events).toEqual(log);
  });
});

describe("the logs", () => {
  it("hold no token, nor any part of one that opens something (invariant 9)", () => {
    const logs = JSON.stringify(journey.product.harness.getLogs());
    expect(logs).toContain("job.completed");
    expect(issued.length).toBeGreaterThan(8);
    for (const token of issued) {
      const [, grant = "", signature = ""] = token.split(".");
      expect(logs.includes(grant) || logs.includes(signature)).toBe(false);
    }
  });
});
