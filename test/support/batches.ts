import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";

import type {
  BatchAccepted,
  BatchResult,
  BatchRetried,
  BatchView,
} from "../../src/schema/batch.ts";
import { expectJson, type Api } from "./api.ts";

/** A user of batches, who expects that the counts sum to the total whenever they look. */
export class Batches {
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
  }

  send(body: object, key?: string): Promise<Response> {
    const headers: Record<string, string> = key === undefined ? {} : { "idempotency-key": key };
    return this.#api.post("/api/batches", body, headers);
  }

  async submit(body: object, key?: string): Promise<BatchAccepted> {
    return expectJson<BatchAccepted>(await this.send(body, key), 202);
  }

  async read(id: string): Promise<BatchView> {
    const view = await expectJson<BatchView>(await this.#api.fetch(`/api/batches/${id}`), 200);
    const sum = Object.values(view.status_counts).reduce((total, count) => total + count, 0);
    expect([id, sum]).toEqual([id, view.total]);
    return view;
  }

  async readUntil(
    id: string,
    wanted: (view: BatchView) => boolean,
    timeout = 60_000,
  ): Promise<BatchView> {
    const deadline = Date.now() + timeout;
    for (;;) {
      const view = await this.read(id);
      if (wanted(view)) return view;
      if (Date.now() > deadline) throw new Error(`batch ${id} is still ${JSON.stringify(view)}`);
      await sleep(100);
    }
  }

  ended(id: string, timeout?: number): Promise<BatchView> {
    return this.readUntil(id, ({ is_complete }) => is_complete, timeout);
  }

  async cancel(id: string): Promise<BatchView> {
    const answer = await this.#api.fetch(`/api/batches/${id}/cancel`, { method: "POST" });
    return expectJson<BatchView>(answer, 200);
  }

  async retryFailed(id: string): Promise<BatchRetried> {
    const answer = await this.#api.fetch(`/api/batches/${id}/retry-failed`, { method: "POST" });
    return expectJson<BatchRetried>(answer, 202);
  }

  async results(id: string, query = ""): Promise<BatchResult[]> {
    const answer = await this.#api.fetch(`/api/batches/${id}/results${query}`);
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = (await answer.text()).split("\n");
    expect(lines.pop()).toBe("");
    return lines.map((line) => JSON.parse(line) as BatchResult);
  }
}
