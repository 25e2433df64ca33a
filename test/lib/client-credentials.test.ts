import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createClient, type Client } from "../../lib/client.ts";
import { all, logOf, problem, ScriptedApi, serving } from "../support/scripted-api.ts";

const log = logOf(4);
const submission = { job_id: "job", subscribe_token: "its own" };

let api: ScriptedApi;
let client: Client;
beforeAll(async () => {
  api = await ScriptedApi.start();
  client = createClient({ baseUrl: api.url });
});
afterAll(() => api.close());

const tokens = () => api.asked.map(({ query }) => query["token"]);
const sent = () =>
  api.asked.map(({ query, headers }) => [query["token"], headers["authorization"]]);
const fresh = () => Promise.resolve("fresh");

describe("the credentials of a stream", () => {
  it("are the submission's token where there is no key", async () => {
    api.script(serving(log));
    expect(await all(client.stream(submission))).toEqual(log);
    await all(client.stream(submission, { token: "another" }));
    await all(client.stream(submission, { token: fresh }));
    await all(client.stream("job", { token: fresh }));
    const tokens = ["its own", "another", "its own", "fresh"];
    expect(sent()).toEqual(tokens.map((one) => [one, undefined]));
  });

  it("are a fresh token where the submission's has expired before", async () => {
    api.script(problem(401, "unauthorized"), serving(log));
    expect(await all(client.stream(submission, { token: fresh }))).toEqual(log);
    expect(tokens()).toEqual(["its own", "fresh"]);
  });

  it("are the key where there is one, which does not expire", async () => {
    api.script(serving(log));
    await all(createClient({ baseUrl: api.url, apiKey: "key" }).stream(submission));
    expect(sent()).toEqual([[undefined, "Bearer key"]]);
  });
});

describe("a refusal", () => {
  const expired = problem(401, "unauthorized");

  it.each([
    [401, "unauthorized"],
    [404, "job-not-found"],
    [410, "job-gone"],
  ])("of %d ends the stream with what the API said", async (status, code) => {
    api.script(problem(status, code));
    await expect(all(client.stream("job"))).rejects.toMatchObject({
      name: "AfterwordError",
      status,
      code,
    });
    expect(api.asked).toHaveLength(1);
  });

  it("of a token that expires on the way is an error, after what came before", async () => {
    api.script(serving(log, 400), expired);
    const seen: number[] = [];
    const events = client.stream("job", { token: "t/1" });
    await expect(
      (async () => {
        for await (const { seq } of events) seen.push(seq);
      })(),
    ).rejects.toMatchObject({ status: 401, code: "unauthorized" });
    expect(seen).toEqual(log.slice(0, seen.length).map(({ seq }) => seq));
    expect(seen.length).toBeGreaterThan(0);
    expect(tokens()).toEqual(["t/1", "t/1"]);
  });

  it("of a token is met with a fresh one where the caller can get one, but not for ever", async () => {
    let issued = 0;
    const token = () => Promise.resolve(`t${++issued}`);
    api.script(serving(log, 400), expired, serving(log, 200), expired, serving(log));
    expect(await all(client.stream("job", { token }))).toEqual(log);
    expect(tokens()).toEqual(["t1", "t1", "t2", "t2", "t3"]);
    api.script(serving(log, 400), expired);
    await expect(all(client.stream("job", { token }))).rejects.toMatchObject({ status: 401 });
    expect(tokens()).toEqual(["t4", "t4", "t5"]);
  });
});
