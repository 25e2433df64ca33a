import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { completedBody, OLD_SECRET, SECRET, signed } from "../lib/signed.ts";
import { freePort } from "../support/child.ts";
import { startReceiver, type Receiver } from "../support/example-receiver.ts";

const EXAMPLES = "examples/receivers";

const onNode = (file: string) => () => [`${EXAMPLES}/${file}`];

async function onWorkers(port: string): Promise<string[]> {
  const inspector = ["--inspector-port", String(await freePort())];
  const config = ["--config", `${EXAMPLES}/wrangler.toml`, "--var", `WEBHOOK_SECRET:${SECRET}`];
  const listen = ["--ip", "127.0.0.1", "--port", port, ...inspector];
  return ["node_modules/wrangler/bin/wrangler.js", "dev", ...config, ...listen];
}

let jobs = 0;
const freshJob = () => `job-${++jobs}-`;

describe.each([
  ["Express", onNode("express.js")],
  ["Fastify", onNode("fastify.js")],
  ["Hono on Node", onNode("hono-node.js")],
  ["Hono on Workers", onWorkers],
])("the receiver with %s", (_, command) => {
  let receiver: Receiver;
  beforeAll(async () => {
    receiver = await startReceiver(command, SECRET);
  });
  afterAll(() => receiver?.close());

  const timesActed = (job: string) => receiver.output().split(job).length - 1;

  /** Everything sent before has been acted on, if it ever will be, once this has. */
  async function settled(): Promise<void> {
    const job = freshJob();
    const { body, headers } = signed(completedBody(job), { id: `msg_${job}` });
    expect((await receiver.post(body, headers)).status).toBe(204);
    await vi.waitFor(() => expect(timesActed(job)).toBe(1), { timeout: 10_000 });
  }

  it("answers a genuine delivery with 2xx and acts on it once, however often it comes", async () => {
    const job = freshJob();
    const id = `msg_${job}`;
    const now = Date.now();
    // As the sender repeats it: the same id and body, signed anew.
    for (const at of [now - 2_000, now - 1_000, now]) {
      const { body, headers } = signed(completedBody(job), { id, at });
      expect(await receiver.post(body, headers)).toEqual({ status: 204, text: "" });
    }
    await settled();
    expect(timesActed(job)).toBe(1);
  });

  it.each([
    ["whose text was changed", (text: string) => text.replace("Größer", "Kleiner"), "no_match"],
    ["that was written out anew", (text: string) => rewritten(text), "no_match"],
    ["that grew on its way", (text: string) => `${text}\n`, "no_match"],
  ])("refuses a body %s, and does not act on it", async (_, change, error) => {
    const job = freshJob();
    const { body, headers } = signed(completedBody(job), { id: `msg_${job}` });
    const { status, text } = await receiver.post(change(body), headers);
    expect({ status, ...(JSON.parse(text) as object) }).toEqual({ status: 400, error });
    await settled();
    expect(timesActed(job)).toBe(0);
  });

  it.each([
    ["stale", { at: Date.now() - 600_000 }, "too_old"],
    ["from the future", { at: Date.now() + 600_000 }, "too_new"],
    ["signed by another secret", { secrets: [OLD_SECRET] }, "no_match"],
  ])("refuses a delivery that is %s, and does not act on it", async (_, how, error) => {
    const job = freshJob();
    const { body, headers } = signed(completedBody(job), { id: `msg_${job}`, ...how });
    const { status, text } = await receiver.post(body, headers);
    expect({ status, ...(JSON.parse(text) as object) }).toEqual({ status: 400, error });
    await settled();
    expect(timesActed(job)).toBe(0);
  });

  it("refuses a delivery that is not signed at all, and an empty one", async () => {
    expect((await receiver.post(completedBody(), {})).status).toBe(400);
    expect((await receiver.post("", signed("").headers)).status).toBe(400);
  });

  it("takes one whose refused forgery came first under the same id", async () => {
    const job = freshJob();
    const { body, headers } = signed(completedBody(job), { id: `msg_${job}` });
    await receiver.post(`${body} `, headers);
    expect((await receiver.post(body, headers)).status).toBe(204);
    await vi.waitFor(() => expect(timesActed(job)).toBe(1), { timeout: 10_000 });
  });
});

/** What JSON.parse and JSON.stringify make of it in another language's hands: the same, in other bytes. */
function rewritten(text: string): string {
  const ascii = JSON.stringify(JSON.parse(text)).replaceAll(
    /[^\0-\x7f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  expect(JSON.parse(ascii)).toEqual(JSON.parse(text));
  return ascii;
}
