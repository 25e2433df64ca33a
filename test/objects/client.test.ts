import { exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { createClient, type JobEvent } from "../../lib/client.ts";
import { holdQueues } from "./support.ts";

holdQueues();

type Fetch = typeof globalThis.fetch;

/** Straight to the Worker under test. */
const toWorker: Fetch = (input, init) => exports.default.fetch(new Request(input, init));
const baseUrl = "https://afterword.test";

/** The same, with each of the first streams cut off after so many bytes. */
function cutting(cuts: number[]): Fetch {
  return async (input, init) => {
    const answer = await toWorker(input, init);
    const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream");
    const cut = isStream ? cuts.shift() : undefined;
    if (cut === undefined || answer.body === null) return answer;
    let left = cut;
    const scissors = new TransformStream<Uint8Array, Uint8Array>({
      transform(bytes, controller) {
        controller.enqueue(bytes.subarray(0, left));
        left -= bytes.byteLength;
        if (left <= 0) controller.terminate();
      },
    });
    return new Response(answer.body.pipeThrough(scissors), answer);
  };
}

/** The same, where something in between answers to whoever wants a stream. */
const withoutStreams: Fetch = async (input, init) => {
  const accepts = new Headers(init?.headers).get("accept");
  return accepts === "text/event-stream" ? new Response("a proxy") : toWorker(input, init);
};

async function typesOf(events: AsyncIterable<JobEvent>): Promise<string[]> {
  const types: string[] = [];
  for await (const { seq, type } of events) types.push(`${seq} ${type}`);
  return types;
}

describe("the client in workerd", () => {
  const client = createClient({ baseUrl, fetch: toWorker });
  const ended = ["1 queued", "2 cancelled"];

  it("submits, follows, waits for and cancels a job", async () => {
    const submission = await client.submit({ prompt: "Why is the sky blue?" });
    const followed = typesOf(client.stream(submission));
    const waited = client.wait(submission.job_id);
    expect((await client.cancel(submission.job_id)).status).toBe("cancelled");
    expect(await followed).toEqual(ended);
    expect((await waited).status).toBe("cancelled");
  });

  it("resumes a stream that is cut anywhere", async () => {
    const { job_id } = await client.submit({ prompt: "Why is the sky blue?" });
    await client.cancel(job_id);
    for (const cut of [0, 1, 14, 150, 200, 300]) {
      const cutOff = createClient({ baseUrl, fetch: cutting([cut]) });
      expect(await typesOf(cutOff.stream(job_id))).toEqual(ended);
    }
  }, 30_000);

  it("reads by pages what comes as something else than a stream", async () => {
    const { job_id } = await client.submit({ prompt: "Why is the sky blue?" });
    await client.cancel(job_id);
    expect(await typesOf(createClient({ baseUrl, fetch: withoutStreams }).stream(job_id))).toEqual(
      ended,
    );
  });

  it("leaves with the caller's reason", async () => {
    const { job_id } = await client.submit({ prompt: "Why is the sky blue?" });
    const left = new AbortController();
    const reason = new Error("The reader has left");
    const events = client.stream(job_id, { signal: left.signal });
    expect((await events.next()).value).toMatchObject({ type: "queued" });
    const next = events.next();
    left.abort(reason);
    await expect(next).rejects.toBe(reason);
  });
});
