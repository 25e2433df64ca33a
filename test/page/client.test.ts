import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { text } from "node:stream/consumers";

import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { createClient, type Client, type JobEvent, type Submission } from "../../lib/client.ts";
import type * as Library from "../../lib/client.ts";
import { expectWholeLog } from "../support/api.ts";
import { atFirst, launchBrowser } from "../support/browser.ts";
import { freePort, killGroup, spawnLeashed, type Child } from "../support/child.ts";
import { answerOf, freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { all } from "../support/scripted-api.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const ADMIN_API_KEY = "admin-key-canary-0123456789-0123456789";

const PAGE = `<!doctype html><link rel="icon" href="data:,">
<script type="importmap">{ "imports": { "afterword/client": "./client.js" } }</script>
<script type="module">
  import * as library from "./client.js";
  import * as example from "./browser.js";
  Object.assign(globalThis, { library, example });
</script>`;

/** A page of somebody else, at an origin of its own, with the client as it is built and the example of a backend. */
const site = createServer((request, response) => {
  const name = basename(request.url ?? "");
  if (request.method === "POST") return void askExample(request, response);
  if (name === "") return void response.setHeader("content-type", "text/html").end(PAGE);
  const folder = name === "browser.js" ? "examples/client" : "dist/lib";
  readFile(join(folder, name)).then(
    (script) => response.setHeader("content-type", "text/javascript").end(script),
    () => response.writeHead(404).end(),
  );
});

async function askExample(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = `http://127.0.0.1:${examplePort}${request.url}`;
  const answer = await fetch(url, { method: "POST", body: await text(request) });
  response.writeHead(answer.status).end(await answer.text());
}

let example: Child;
let examplePort: number;
let journey: Journey;
let browser: Browser;
let backend: Client;
beforeAll(async () => {
  await new Promise<void>((resolve) => {
    site.listen(0, "127.0.0.1", resolve);
  });
  journey = await startJourney({ AUTH_MODE: "keys" }, { ADMIN_API_KEY, SIGNING_KEY });
  backend = createClient({ baseUrl: journey.product.url, apiKey: ADMIN_API_KEY });
  browser = await launchBrowser();
  examplePort = await freePort();
  example = spawnLeashed(["examples/client/backend.js"], {
    PORT: String(examplePort),
    AFTERWORD_URL: journey.product.url,
    AFTERWORD_KEY: ADMIN_API_KEY,
  });
  await once(example.stdout, "data");
});
afterAll(async () => {
  if (example !== undefined) await killGroup(example);
  await browser?.close();
  await journey?.close();
  site.close();
});

type Example = { ask: (prompt: string, element: HTMLElement) => Promise<void> };

let context: BrowserContext;
let page: Page;
beforeEach(async () => {
  context = await browser.newContext();
  page = await context.newPage();
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
  await page.waitForFunction(() => "example" in globalThis);
});
afterEach(() => context.close());

/** All the events that the page sees of this job, which knows its token and no key. */
function followed({ job_id, subscribe_token }: Submission): Promise<JobEvent[]> {
  const asked = { baseUrl: journey.product.url, job_id, subscribe_token };
  return page.evaluate(async ({ baseUrl, ...submission }) => {
    const { library } = globalThis as unknown as { library: typeof Library };
    const seen: JobEvent[] = [];
    Object.assign(globalThis, { seen });
    for await (const event of library.createClient({ baseUrl }).stream(submission)) {
      seen.push(event);
    }
    return seen;
  }, asked);
}

const eventsOf = (jobId: string) => all(backend.stream(jobId));

const textHasCome = () =>
  page.waitForFunction(() => {
    const { seen = [] } = globalThis as unknown as { seen?: JobEvent[] };
    return seen.some(({ type }) => type === "delta");
  });

describe("the built client in a page of another origin", () => {
  it("follows a job by its token, through the tunnel and out again", async () => {
    const submission = await backend.submit({ prompt: freshPrompt("[tokens=40 every=50]") });
    const events = followed(submission);
    await textHasCome();
    await context.setOffline(true);
    await backend.wait(submission.job_id);
    await context.setOffline(false);
    const log = await events;
    expectWholeLog(log);
    expect(log).toEqual(await eventsOf(submission.job_id));
  });

  it("goes on where a stream was refused, and by pages where streams are held back", async () => {
    const submission = await backend.submit({ prompt: freshPrompt("[tokens=20 every=20]") });
    await page.route(
      "**/events*",
      atFirst((route) => route.fulfill({ status: 502 })),
    );
    expectWholeLog(await followed(submission));
    const accepted: (string | undefined)[] = [];
    await page.route("**/events*", (route) => {
      const { accept } = route.request().headers();
      accepted.push(accept);
      return accept === "text/event-stream" ? undefined : route.continue();
    });
    expect(await followed(submission)).toEqual(await eventsOf(submission.job_id));
    expect(new Set(accepted)).toEqual(new Set(["text/event-stream", "application/json"]));
  });

  it("is used by examples/client/browser.js, beside examples/client/backend.js", async () => {
    const prompt = freshPrompt("[cut=3 x1][tokens=20 every=10]");
    const shown = await page.evaluate(async (prompt) => {
      const { example } = globalThis as unknown as { example: Example };
      const element = document.createElement("p");
      await example.ask(prompt, element);
      return element.textContent;
    }, prompt);
    const call = journey.provider.callsFor(prompt).at(-1) ?? { id: 0 };
    expect(shown).toBe(answerOf(call));
  });

  it("reads the API's refusal across origins", async () => {
    const { job_id } = await backend.submit({ prompt: freshPrompt() });
    const asked = { baseUrl: journey.product.url, job_id };
    const refused = await page.evaluate(async ({ baseUrl, job_id }) => {
      const { library } = globalThis as unknown as { library: typeof Library };
      const error: unknown = await library
        .createClient({ baseUrl })
        .get(job_id)
        .catch((error: unknown) => error);
      if (!(error instanceof library.AfterwordError)) return String(error);
      const { status, code, requestId } = error;
      return { status, code, requestId };
    }, asked);
    expect(refused).toMatchObject({
      status: 401,
      code: "unauthorized",
      requestId: expect.stringMatching(/^req_/),
    });
  });
});
