import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it, vi } from "vitest";

import { attemptDelivery } from "../../src/webhook.ts";
import { completedBody, OLD_SECRET, SECRET } from "./signed.ts";

const VERIFIERS = "examples/verify";
const RECEIVERS = "examples/receivers";

const scriptsIn = (folder: string) =>
  readdirSync(folder).flatMap((name) => (name.endsWith(".js") ? join(folder, name) : []));

type Sent = { body: string; headers: Record<string, string> };
type Example = { verify: (body: string, headers: Sent["headers"]) => unknown };

/** What the sender puts on the wire, `ageMs` ago. */
async function sent(secrets: readonly [string, ...string[]], ageMs = 0): Promise<Sent> {
  const delivery = {
    id: "msg_1",
    url: "https://receiver.example/",
    body: completedBody(),
    headers: {},
    secrets,
  } as const;
  const requests: Request[] = [];
  const network: typeof fetch = (...request) => {
    requests.push(new Request(...request));
    return Promise.resolve(new Response());
  };
  await attemptDelivery(delivery, {
    fetch: network,
    now: () => Date.now() - ageMs,
    limitMs: 10_000,
  });
  const [request] = requests;
  if (request === undefined) throw new Error("nothing was sent");
  return { body: await request.text(), headers: Object.fromEntries(request.headers) };
}

/** As the example at this path verifies it. */
async function verifyBy(file: string, { body, headers }: Sent): Promise<unknown> {
  vi.stubEnv("WEBHOOK_SECRET", SECRET);
  const { verify } = (await import(join(process.cwd(), file))) as Example;
  return verify(body, headers);
}

describe.each(scriptsIn(VERIFIERS))("%s", (file) => {
  it("takes what we send, during a rotation too", async () => {
    const event: unknown = JSON.parse(completedBody());
    expect(await verifyBy(file, await sent([SECRET]))).toEqual(event);
    expect(await verifyBy(file, await sent([SECRET, OLD_SECRET]))).toEqual(event);
  });

  it("refuses another body and another's signature", async () => {
    const { body, headers } = await sent([SECRET]);
    await expect(verifyBy(file, { body: `${body} `, headers })).rejects.toThrow();
    await expect(verifyBy(file, await sent([OLD_SECRET]))).rejects.toThrow();
  });
});

// The plain signature is over no time.
const TIMED = scriptsIn(VERIFIERS).filter((file) => !file.endsWith("plain.js"));

it.each(TIMED)("%s refuses what is older than five minutes", async (file) => {
  await expect(verifyBy(file, await sent([SECRET], 302_000))).rejects.toThrow();
});

it.each([
  ["docs/webhooks.md", [VERIFIERS, RECEIVERS]],
  ["docs/client.md", ["examples/client"]],
  ["docs/recipes.md", ["examples/recipes"]],
])("the code in %s is that of the examples, whole and all of it", (file, folders) => {
  const page = readFileSync(file, "utf8");
  const shown = Array.from(page.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code);
  const files = folders.flatMap(scriptsIn);
  const written = files.map((file) => readFileSync(file, "utf8"));
  expect(new Set(shown)).toEqual(new Set(written));
  expect(shown).toHaveLength(written.length);
});
