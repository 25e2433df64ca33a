import { accountName } from "../ids.ts";
import type { AccountRpc } from "./account-rpc.ts";

/** The account of a tenant. Take a new one after a call has thrown. */
export async function accountOf(env: Env, tenant: string): Promise<AccountRpc> {
  return env.ACCOUNTS.getByName(await accountName(tenant));
}
