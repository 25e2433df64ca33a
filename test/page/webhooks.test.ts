import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";

import type * as Webhooks from "../../lib/webhooks.ts";
import { completedBody, SECRET, signed } from "../lib/signed.ts";
import { launchBrowser } from "../support/browser.ts";

const PAGE = `<!doctype html><link rel="icon" href="data:,">
<script type="module">
  import * as webhooks from "./webhooks.js";
  globalThis.webhooks = webhooks;
</script>`;

/** The library as it is built, and a page that imports it. */
const server = createServer((request, response) => {
  const name = basename(request.url ?? "");
  if (name === "") return void response.setHeader("content-type", "text/html").end(PAGE);
  readFile(join("dist/lib", name)).then(
    (script) => response.setHeader("content-type", "text/javascript").end(script),
    () => response.writeHead(404).end(),
  );
});

let url: string;
let browser: Browser;
beforeAll(async () => {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  server.close();
});

it("the built module verifies in a browser as it does elsewhere", async () => {
  const page = await browser.newPage();
  await page.goto(url);
  const asked = { ...signed(completedBody()), secret: SECRET };
  const told = await page.evaluate(async ({ body, headers, secret }) => {
    const { webhooks } = globalThis as unknown as { webhooks: typeof Webhooks };
    const { verifyWebhook, WebhookVerificationError } = webhooks;
    const refused = (error: unknown) =>
      error instanceof WebhookVerificationError ? error.code : String(error);
    const bytes = new TextEncoder().encode(body);
    return {
      text: await verifyWebhook(body, new Headers(headers), secret),
      bytes: await verifyWebhook(bytes.buffer, headers, [secret]),
      changed: await verifyWebhook(`${body} `, headers, secret).catch(refused),
    };
  }, asked);
  const event: unknown = JSON.parse(asked.body);
  expect(told).toEqual({ text: event, bytes: event, changed: "no_match" });
});
