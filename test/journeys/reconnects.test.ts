import { randomBytes } from "node:crypto";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { JobEvent } from "../../src/schema/event.ts";
import { expectWholeLog, isTerminal, textOf } from "../support/api.ts";
import { launchBrowser } from "../support/browser.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { CLIENTS, type Reconnecting } from "../support/reconnecting.ts";

let journey: Journey;
let browser: Browser;
let proxy: CuttingProxy;
beforeAll(async () => {
  [journey, browser] = await Promise.all([startJourney({ SSE_RETRY_MS: "50" }), launchBrowser()]);
  proxy = await CuttingProxy.to(journey.api.url);
  CLIENTS["the browser's EventSource"] = followInBrowser;
});
afterAll(async () => {
  await proxy?.close();
  await browser?.close();
  await journey?.close();
});

const NAMES = [...Object.keys(CLIENTS), "the browser's EventSource"];

/** On a page of another origin than the product's. */
const followInBrowser: Reconnecting = async (api, { events_url }) => {
  const page = await browser.newPage();
  try {
    const lines = await page.evaluate(
      (url) =>
        new Promise<string[]>((resolve) => {
          const heard: string[] = [];
          const source = new EventSource(url);
          source.addEventListener("message", ({ data }) => {
            if (!String(data).startsWith('{"type":"connected"')) heard.push(String(data));
          });
          source.addEventListener("error", () => {
            if (source.readyState === EventSource.CLOSED) resolve(heard);
          });
        }),
      `${api}${events_url}`,
    );
    return lines.map((line) => JSON.parse(line) as JobEvent);
  } finally {
    await page.close();
  }
};

function clientNamed(name: string): Reconnecting {
  return CLIENTS[name] ?? expect.fail(`no client is called ${name}`);
}

describe.each(NAMES)("%s", (name) => {
  it("has the whole log though its connection is cut twice and more in one stream", async () => {
    const job = await journey.api.submit({ prompt: freshPrompt("[tokens=60 every=50]") });
    const connected = proxy.connections;
    const story = clientNamed(name)(proxy.url, job);
    for (let cuts = 1; cuts <= 3; cuts++) {
      await expect.poll(() => proxy.connections).toBeGreaterThanOrEqual(connected + cuts);
      await journey.api.firstEvent(job.job_id, ({ seq }) => seq >= cuts * 12);
      proxy.cut();
    }
    const events = await story;
    expectWholeLog(events);
    expect(events).toEqual(await journey.api.log(job.job_id));
    expect(proxy.connections).toBeGreaterThanOrEqual(connected + 4);
  });

  it("has the end that comes at the very moment it attaches", async () => {
    const stories = Array.from({ length: 15 }, async (_, at) => {
      const prompt = freshPrompt(`[tokens=2 every=${at * 2}]`);
      const job = await journey.api.submit({ prompt });
      await journey.provider.waitForCall((call) => call.prompt === prompt && call.finished);
      const events = await clientNamed(name)(journey.api.url, job);
      expectWholeLog(events);
      expect(events).toEqual(await journey.api.log(job.job_id));
    });
    await Promise.all(stories);
  });

  it("has an answer of 4 MB whole, through a connection that is cut in the middle", async () => {
    const prompt = freshPrompt();
    // Random, so that no compression makes little of it on its way.
    const tokens = Array.from({ length: 64 }, () => randomBytes(49_152).toString("base64"));
    journey.script(prompt, () => ({ kind: "answer", tokens }));
    const job = await journey.api.submit({ prompt });
    const { result } = await journey.api.ended(job.job_id);
    const connected = proxy.connections;
    proxy.cutAfterBytes = 2_000_000;
    const story = clientNamed(name)(proxy.url, job);
    await expect.poll(() => proxy.connections, { timeout: 20_000 }).toBeGreaterThan(connected + 1);
    proxy.cutAfterBytes = Infinity;
    const events = await story;
    expectWholeLog(events);
    expect(textOf(events) === result?.content).toBe(true);
    const end = events.find(isTerminal);
    expect(end?.type === "completed" && end.result.content === result?.content).toBe(true);
  });
});
