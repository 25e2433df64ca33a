import { affordableTokens } from "../domain/cost.ts";
import type { Route } from "../domain/job.ts";
import { ignoredParams, resolveModel } from "../provider/resolve.ts";
import type { ModelParams } from "../schema/chat.ts";
import type { Config } from "../settings/config.ts";

/** What is wrong with a request beyond its shape: where (a JSON pointer) and what. */
export type Refusal = { pointer: string; detail: string };

/** A model that was asked for, and where. */
export type AskedModel = { pointer: string; name: string };

/** Parameters that go to a model, and where they stand. */
export type AskedParams = { pointer: string; params: ModelParams | undefined };

/** Who serves these models, the first of them before its fallbacks. */
export function routesOf(
  asked: AskedModel[],
  { pointer: at, params }: AskedParams,
  config: Config,
): { routes: Route[]; refusals: Refusal[] } {
  const routes: Route[] = [];
  const refusals: Refusal[] = [];
  for (const { pointer, name } of asked) {
    const resolved = resolveModel(name, config);
    if (!resolved.ok) {
      refusals.push({ pointer, detail: resolved.reason });
      continue;
    }
    routes.push(resolved.route);
    for (const param of ignoredParams(resolved.route, params)) {
      refusals.push({ pointer: `${at}/${param}`, detail: `${param} is ignored by "${name}"` });
    }
  }
  return { routes, refusals };
}

/** A cap that cannot be kept, or that not one token of an answer fits under. */
export function capRefusals(
  maxCostUsd: number | undefined,
  routes: Route[],
  promptTokens: number,
): Refusal[] {
  if (maxCostUsd === undefined) return [];
  return routes.flatMap(({ name, price }) => {
    const pointer = "/max_cost_usd";
    if (price?.input == null || price.output === null) {
      return [{ pointer, detail: `max_cost_usd needs a price, and "${name}" has none` }];
    }
    const tokens = affordableTokens({ maxCostUsd, promptTokens }, [], price);
    const detail = `max_cost_usd does not pay for the prompt with "${name}"`;
    return tokens < 1 ? [{ pointer, detail }] : [];
  });
}
