import { expect } from "vitest";

import { givenUp } from "./given-up.ts";
import { freshPrompt, type Journey } from "./journey.ts";
import type { Ask } from "./tenant-answers.ts";

/** Has the routes about dead letters give every answer they have. `ask`: asks, and judges what is answered. */
export async function askAboutLetters({ api, product }: Journey, ask: Ask): Promise<void> {
  const path = "/api/admin/dead-letter";
  const one = `${path}/{dlq_id}`;
  const bulk = (status: number, action: string, body: unknown, type = "application/json") =>
    ask("POST", `${path}/${action}`, status, {
      url: `${path}/${action}`,
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": type },
    });
  const letter = givenUp({ prompt: freshPrompt() });
  const off = { ...givenUp({ prompt: "x", model: "off-the-list" }), dlqId: "dlq_off" };
  const { LETTERS } = (await product.harness.getWorker().getEnv()) as {
    LETTERS: { getByName(name: string): { add(letters: unknown[]): Promise<void> } };
  };
  await LETTERS.getByName("dead-letters").add([letter, off]);
  await ask("GET", path, 200, { url: `${path}?limit=1` });
  await ask("GET", path, 400, { url: `${path}?limit=0` });
  await ask("GET", `${path}/groups`, 200, { url: `${path}/groups` });
  await ask("GET", `${path}/groups`, 400, { url: `${path}/groups?limit=1` });
  await ask("GET", one, 200, { url: `${path}/dlq_on` });
  await ask("GET", one, 404, { url: `${path}/dlq_none` });
  await ask("POST", `${one}/retry`, 200, { url: `${path}/dlq_on/retry` });
  await ask("POST", `${one}/retry`, 404, { url: `${path}/dlq_none/retry` });
  await ask("POST", `${one}/retry`, 409, { url: `${path}/dlq_off/retry` });
  for (const action of ["retry", "discard"]) {
    await bulk(202, action, { filter: { model: "none" } });
    await bulk(400, action, {});
    await bulk(413, action, { ids: ["x".repeat(1_048_577)] });
    await bulk(415, action, { filter: {} }, "text/plain");
  }
  const begun = await api.post(`${path}/retry`, { ids: ["dlq_off"] });
  const { status_url } = (await begun.json()) as { status_url: string };
  const operation = async () =>
    (await (await api.fetch(status_url)).json()) as { status: string; refused: number };
  await expect.poll(operation, { timeout: 10_000 }).toMatchObject({ status: "done", refused: 1 });
  const operations = `${path}/operations/{operation_id}`;
  await ask("GET", operations, 200, { url: status_url });
  await ask("GET", operations, 404, { url: `${path}/operations/op_none` });
  await ask("DELETE", one, 204, { url: `${path}/dlq_off` });
  await ask("DELETE", one, 404, { url: `${path}/dlq_off` });
}
