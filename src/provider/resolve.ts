import type { Config } from "../settings/config.ts";
import type { Route } from "../domain/job.ts";
import type { Price } from "../domain/cost.ts";
import type { ModelParams } from "../schema/chat.ts";
import {
  PROVIDERS,
  SIMULATED_MODELS,
  SIMULATOR,
  isProvider,
  type Provider,
  type ProviderName,
} from "./table.ts";

export type Resolved = { ok: true; route: Route } | { ok: false; reason: string };

/**
 * Finds who serves a model: `gpt-4o`, or `<provider>/<model>`.
 *
 * With AUTH_MODE=none a model whose provider is off is answered by the simulator, which says so; otherwise
 * it is refused with the setting that is missing, and so is the simulator itself.
 */
export function resolveModel(name: string, config: Config): Resolved {
  const [first = "", ...rest] = name.split("/");
  const model = rest.join("/");
  if (name === "*" || model === "*") return unknown(name);
  if (first === SIMULATOR) return simulated(name, model, config);
  if (isProvider(first) && model !== "") return listed({ name, provider: first, model }, config);
  const owner = Object.keys(PROVIDERS)
    .filter(isProvider)
    .find((provider) => Object.hasOwn(pricesOf(provider, config), name));
  return owner === undefined
    ? unknown(name)
    : listed({ name, provider: owner, model: name }, config);
}

/** The simulator is nobody's to bill. */
const FREE: Price = { input: 0, output: 0 };

function simulated(name: string, model: string, config: Config): Resolved {
  if (!(SIMULATED_MODELS as readonly string[]).includes(model)) return unknown(name);
  if (config.AUTH_MODE === "none") return { ok: true, route: simulatorFor(name, model) };
  return { ok: false, reason: `model "${name}" answers only with AUTH_MODE=none` };
}

function simulatorFor(name: string, model: string): Route {
  return { name, provider: SIMULATOR, model, price: FREE };
}

function listed(
  asked: { name: string; provider: ProviderName; model: string },
  config: Config,
): Resolved {
  const { name, provider, model } = asked;
  const price = priceOf(provider, model, config);
  if (price === null) return unknown(name);
  if (config.providers[provider] !== undefined) return { ok: true, route: { ...asked, price } };
  if (config.AUTH_MODE === "none") return { ok: true, route: simulatorFor(name, model) };
  return { ok: false, reason: `model "${name}" needs ${settingsOf(provider)} to be set` };
}

/** The parameters of a request that a route's provider would ignore. Sent all the same they would promise what is not kept. */
export function ignoredParams(route: Route, params: ModelParams = {}): string[] {
  if (!isProvider(route.provider)) return [];
  return PROVIDERS[route.provider].ignores.filter((param) => params[param] !== undefined);
}

function settingsOf(provider: ProviderName): string {
  const row: Provider = PROVIDERS[provider];
  const baseUrl = row.baseUrl === null ? [`${row.prefix}_BASE_URL`] : [];
  const apiKey = row.needsKey ? [`${row.prefix}_API_KEY`] : [];
  return [...baseUrl, ...apiKey].join(" and ");
}

function unknown(name: string): Resolved {
  return { ok: false, reason: `model "${name}" is not on the list of models` };
}

function priceOf(provider: ProviderName, model: string, config: Config): Price | null {
  const prices = pricesOf(provider, config);
  if (Object.hasOwn(prices, model)) return prices[model] ?? null;
  return prices["*"] ?? null;
}

/** The configured list where there is one, otherwise the table's. */
function pricesOf(provider: ProviderName, config: Config): Readonly<Record<string, Price>> {
  if (config.MODELS === undefined) return PROVIDERS[provider].models;
  const own = Object.entries(config.MODELS).filter(([name]) => name.startsWith(`${provider}/`));
  return Object.fromEntries(own.map(([name, price]) => [name.slice(provider.length + 1), price]));
}
