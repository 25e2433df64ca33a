import { afterEach, describe, expect, it, vi } from "vitest";

import { objectName, replayIdFor } from "../../src/ids.ts";
import { holdClock, job, logged, newName, stored, view } from "./support.ts";
import { ledgers } from "./ledgers.ts";
import {
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

const SECRET = "Bearer canary-93af";
const way = {
  ...envWith(straight),
  SIGNING_KEY: "k".repeat(32),
  WEBHOOK_ALLOWED_ORIGINS: "",
} as unknown as Env;

/** A job that failed for good, and its object's name. */
async function failed(): Promise<{ key: string; name: string }> {
  const key = newName();
  const asked = {
    prompt: "Why is the sky blue?",
    webhook_url: "https://receiver.example.com/hooks",
    callback_headers: { authorization: SECRET },
  };
  const answer = await request(way, "/api/jobs", submission(key, asked));
  expect(answer.status).toBe(202);
  const name = await objectName("dev", key);
  provide(refused(400));
  await deliver(way, "jobs-normal", [{ job: name }]);
  await deliver(way, "jobs-dead-letter", [{ job: name }]);
  return { key, name };
}

/** The webhook a job has kept. */
async function webhookOf(name: string): Promise<unknown> {
  const found = await job(name).source();
  return found.type === "found" ? found.value.origin.webhook : null;
}

describe("a webhook's own headers (invariant 9)", () => {
  it("are in no row, view, dead letter or log line as they were given", async () => {
    const { key, name } = await failed();
    expect(await webhookOf(name)).toMatchObject({ headers: expect.any(String) as string });
    const kept: unknown[] = [
      await stored(name),
      await view(name, true),
      await job(name).log(0),
      await job(name).deliveries(),
      await job(name).source(),
      [...ledgers.letters.values()],
      logged,
    ];
    for (const path of ["", "/deliveries", "/attempts"]) {
      kept.push(await (await request(way, `/api/jobs/${key}${path}`)).text());
    }
    expect(JSON.stringify(kept)).not.toContain("canary-93af");
  });

  it("go to the job that is made of it by a retry, under the same seal", async () => {
    const { key, name } = await failed();
    const webhook = await webhookOf(name);
    const answer = await request(way, `/api/jobs/${key}/retry`, { method: "POST" });
    expect(answer.status).toBe(202);
    const { dlq_id = "" } = await view(name);
    const again = await objectName("dev", await replayIdFor(dlq_id));
    expect(await webhookOf(again)).toEqual(webhook);
    expect(JSON.stringify(await stored(again))).not.toContain("canary-93af");
  });

  it("go into its dead letter, under the same seal", async () => {
    const { name } = await failed();
    const { dlq_id = "" } = await view(name);
    const letter = ledgers.letters.get(dlq_id);
    expect(letter?.webhook).toEqual(await webhookOf(name));
    expect(letter?.request).not.toHaveProperty("callback_headers");
  });
});
