import { readFileSync } from "node:fs";

import { expect } from "vitest";

import type { JobAccepted, JobView } from "../../src/schema/job.ts";
import { expectJson, type Api } from "./api.ts";

/** One request of a recipe, and the body that is sent; of a GET, what the answer holds at least, sooner or later. */
type Request = { method: "GET" | "POST"; path: string; json: string };

/** Stands in a recipe for what is different each time. */
const ELLIPSIS = "…";

const REQUEST = /^```json (?<method>GET|POST) (?<path>\S+)\n(?<json>.*?)^```$/gms;

/** The requests that a page shows under a heading, in their order. */
function requestsUnder(heading: string, page: string): Request[] {
  const [, ...sections] = readFileSync(page, "utf8").split(/^## /m);
  const section = sections.find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`${page} has no "${heading}"`);
  return Array.from(section.matchAll(REQUEST), ({ groups }) => groups as Request);
}

/**
 * Does what a page says under a heading, with `origins` in the place of those that it names. Resolves to the id of the job
 * that it makes.
 */
export async function follow(
  api: Api,
  page: string,
  heading: string,
  origins: Record<string, string>,
): Promise<string> {
  const requests = requestsUnder(heading, page);
  expect(requests.length).toBeGreaterThan(1);
  let id = "";
  for (const { method, path, json } of requests) {
    const at = path.replace(":id", id);
    const body = JSON.parse(withOrigins(json, origins)) as Record<string, unknown>;
    if (method === "GET") await expectSoon(api, at, body);
    else if (path === "/api/jobs") id = (await submitted(api, body)).job_id;
    else await expectJson<JobView>(await api.post(at, await answered(api, id, body)), 200);
  }
  return id;
}

function withOrigins(json: string, origins: Record<string, string>): string {
  const named = Object.entries(origins);
  return named.reduce((text, [name, origin]) => text.replaceAll(name, origin), json);
}

async function submitted(api: Api, body: object): Promise<JobAccepted> {
  return expectJson<JobAccepted>(await api.send(body), 202);
}

/** An answer to what the job asks for. */
async function answered(api: Api, id: string, body: object): Promise<object> {
  const { waiting_for } = await api.read(id);
  return { ...body, request_id: waiting_for?.request_id };
}

async function expectSoon(api: Api, path: string, held: object): Promise<void> {
  const answer = async () => expectJson<object>(await api.fetch(path), 200);
  await expect.poll(answer, { timeout: 30_000, interval: 50 }).toMatchObject(open(held));
}

/** What is shown as an ellipsis may be any text but none. */
function open(value: unknown): object {
  return JSON.parse(JSON.stringify(value), (_, part: unknown) =>
    part === ELLIPSIS ? (expect.stringMatching(/./) as unknown) : part,
  ) as object;
}
