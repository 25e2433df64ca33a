import { expect } from "vitest";

import type { Api } from "./api.ts";

/** Asks for what must be refused, and keeps each refusal: its headers and its body. */
export class Refusals {
  /** All that was told by a refusal. */
  readonly texts: string[] = [];

  /** The status of the refusal. */
  async ask(api: Api, path: string, init: RequestInit = {}): Promise<number> {
    const response = await api.fetch(path, init);
    const text = await response.text();
    expect([path, response.ok, text === ""]).toEqual([path, false, false]);
    this.texts.push(JSON.stringify([...response.headers]), text);
    return response.status;
  }

  /** The same of what is sent with a body: JSON, unless it is a text already. */
  send(
    api: Api,
    [method, path]: [string, string],
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<number> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const json = { "content-type": "application/json", ...headers };
    return this.ask(api, path, { method, body: text, headers: json });
  }
}
