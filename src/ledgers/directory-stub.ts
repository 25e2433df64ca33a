import type { DirectoryRpc } from "./directory-rpc.ts";

/** The one directory of tenants. Take a new one after a call has thrown. */
export function directory(env: Env): DirectoryRpc {
  return env.DIRECTORY.getByName("tenants");
}
