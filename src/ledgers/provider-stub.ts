import type { ProviderRpc } from "./provider-rpc.ts";

/** The object of this provider. Take a new one after a call has thrown. */
export function providerNamed(env: Env, name: string): ProviderRpc {
  return env.PROVIDERS.getByName(name);
}
