import worker, { JobObject as Product } from "afterword";

import type { CallReport, Part } from "../src/domain/command.ts";
import type { Answer } from "../src/domain/job.ts";
import { objectName } from "../src/ids.ts";

export * from "afterword";

/** The tenant that everybody is with AUTH_MODE=none. */
const TENANT = "dev";

/** What the attempt that runs is to have said, in so many events, and whether it ends with that. */
export type Filling = { events: number; chars: number; ends: boolean };

const ANSWER: Answer = { model: "bench", finish_reason: "stop", tool_calls: [], usage: null };
const REPORT: CallReport = {
  ttftMs: 1,
  providerMs: 1,
  usage: null,
  taken: true,
  answerBytes: null,
};

function partOf(part: number, text: string): Part {
  return { part, text, ttftMs: 1 };
}

/** The product, unchanged, but that a log can be written without a model that takes as long as it is long. */
export class JobObject extends Product {
  /** Of the consumer whose call is running. */
  #token = "";

  override lease(token: string): { type: string } {
    const grant = super.lease(token);
    if (grant.type === "leased") this.#token = token;
    return grant;
  }

  fill({ events, chars, ends }: Filling): void {
    const text = "x".repeat(chars);
    for (let at = 0; at < events; at++) {
      if (!this.append(this.#token, partOf(at, text)).go) throw new Error("no attempt is running");
    }
    if (ends) this.complete(this.#token, partOf(events, ""), ANSWER, REPORT);
  }
}

/** `POST /api/bench/log?id=` fills the log of a job that runs. */
export default {
  fetch: async (...args: Parameters<typeof worker.fetch>) => {
    const [request, { JOBS }] = args;
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/api/bench/log") return worker.fetch(...args);
    const filling = (await request.json()) as Filling;
    await JOBS.getByName(await objectName(TENANT, searchParams.get("id") ?? "")).fill(filling);
    return new Response(null, { status: 204 });
  },
  queue: (...args: Parameters<typeof worker.queue>) => worker.queue(...args),
};
