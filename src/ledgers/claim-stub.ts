import type { ClaimRpc } from "./claim-rpc.ts";

/** The claim of this name (`claimName`). Take a new one after a call has thrown. */
export function claimNamed(env: Env, name: string): ClaimRpc {
  return env.CLAIMS.getByName(name);
}
