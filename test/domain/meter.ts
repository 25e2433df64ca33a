import type { CallReport, Command } from "../../src/domain/command.ts";
import type { Job, JobSpec, LogEvent, Route } from "../../src/domain/job.ts";
import { promptTokensNow, routesNow } from "./course-observed.ts";
import { REPORT } from "./fixtures.ts";
import type { Consumer, World } from "./world.ts";

/** What a consumer knows of its call's usage: all, nothing, or that there was no call. */
export type Metered = "known" | "unknown" | "refused";

/** What a call came to, as an observer adds it up. */
export type Bill = { cost: number; estimated: boolean };

export function reportOf(metered: Metered): CallReport {
  if (metered === "known") return REPORT;
  return { ...REPORT, usage: null, taken: metered === "unknown" };
}

/** By the report; without one by the prompt's tokens and a token for every four bytes that were said. */
export function billFor(
  { said, promptTokens }: { said: string[]; promptTokens: number },
  route: Route | undefined,
  { usage, taken }: CallReport,
): Bill {
  // A step that calls no model costs nothing, and there is nothing to be estimated.
  if (route === undefined || (usage === null && !taken)) return { cost: 0, estimated: false };
  const perToken = (route?.price?.input ?? 0) / 1_000_000;
  if (usage !== null) return { cost: usage.total_tokens * perToken, estimated: false };
  const tokens = promptTokens + Math.ceil(Buffer.byteLength(said.join("")) / 4);
  return { cost: tokens * perToken, estimated: true };
}

/** All that the calls have come to so far. */
export function billed({ consumers }: { consumers: { bill: Bill | null }[] }): number {
  return consumers.reduce((sum, { bill }) => sum + (bill?.cost ?? 0), 0);
}

/** Whether the job's own budget pays for the next call: its prompt, and a token of an answer. */
export function isPaidFor(world: {
  job: Pick<Job, "route">;
  spec: JobSpec;
  log: LogEvent[];
  consumers: { bill: Bill | null }[];
}): boolean {
  const { job, spec } = world;
  const price = routesNow(world)[job.route]?.price ?? null;
  // What calls no model costs nothing, whatever is left.
  if (price === null) return true;
  const most = (promptTokensNow(world) + 1) * ((price.input ?? 0) / 1_000_000);
  return billed(world) + most <= (spec.maxCostUsd ?? Infinity);
}

/** Whom the consumer's attempt has called. */
export function routeOf({ spec, log }: World, { attempt, step }: Consumer): Route | undefined {
  const start = log.find((event) => event.type === "started" && event.attempt === attempt);
  const routes = spec.steps?.[step]?.routes ?? spec.routes;
  return routes.find(({ name }) => start?.type === "started" && name === start.model);
}

/** What the holder's call came to, as it says itself if it comes to say it. */
export function finalBill(world: World, holder: Consumer, command: Command | null): Bill {
  const reported = command?.type === "fail" || command?.type === "complete";
  const report = reported ? command.report : reportOf("unknown");
  return billFor(holder, routeOf(world, holder), report);
}
