import type { GateRpc } from "./gate-rpc.ts";

/** The gate of this name (`gateName`). Take a new one after a call has thrown. */
export function gateNamed(env: Env, name: string): GateRpc {
  return env.GATES.getByName(name);
}
