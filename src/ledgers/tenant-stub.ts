import type { TenantRpc } from "./tenant-rpc.ts";

/** The tenant of this name (`tenantName`). Take a new one after a call has thrown. */
export function tenantNamed(env: Env, name: string): TenantRpc {
  return env.TENANTS.getByName(name);
}
