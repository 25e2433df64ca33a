import type { ProviderReport } from "../domain/provider-view.ts";
import type { Config } from "../settings/config.ts";
import { providersIn } from "../settings/limit-setting.ts";
import { within } from "../within.ts";
import { providerNamed } from "./provider-stub.ts";

/** How long a provider's object may take to answer, in milliseconds. */
const REPORT_WITHIN_MS = 2_000;

/** How each provider is that is switched on. Never rejects: of one that does not answer in time nothing is known. */
export function reportProviders(env: Env, config: Config): Promise<ProviderReport[]> {
  return Promise.all(providersIn(config).map((provider) => report(env, provider)));
}

async function report(env: Env, provider: string): Promise<ProviderReport> {
  try {
    const state = await within(REPORT_WITHIN_MS, providerNamed(env, provider).state());
    return { provider, state };
  } catch {
    return { provider, state: null };
  }
}
