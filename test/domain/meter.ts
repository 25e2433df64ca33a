import type { CallReport } from "../../src/domain/command.ts";
import type { Job, JobSpec, Route } from "../../src/domain/job.ts";
import { REPORT } from "./fixtures.ts";

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
  spec: JobSpec,
  { said }: { said: string[] },
  route: Route | undefined,
  { usage, taken }: CallReport,
): Bill {
  if (usage === null && !taken) return { cost: 0, estimated: false };
  const perToken = (route?.price?.input ?? 0) / 1_000_000;
  if (usage !== null) return { cost: usage.total_tokens * perToken, estimated: false };
  const tokens = spec.promptTokens + Math.ceil(Buffer.byteLength(said.join("")) / 4);
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
  consumers: { bill: Bill | null }[];
}): boolean {
  const { job, spec } = world;
  const perToken = (spec.routes[job.route]?.price?.input ?? 0) / 1_000_000;
  return billed(world) + (spec.promptTokens + 1) * perToken <= (spec.maxCostUsd ?? Infinity);
}
