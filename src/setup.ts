import type { Config } from "./config.ts";
import { OK, type Check, type Checks } from "./domain/health.ts";
import { resolveModel } from "./provider/resolve.ts";

/** What an operator can get wrong without any one setting being wrong by itself. */
export function checkSettings(config: Config): Checks {
  return { auth: checkAuth(config), default_model: checkDefaultModel(config) };
}

function checkAuth({ AUTH_MODE, ADMIN_API_KEY }: Config): Check {
  const locked = AUTH_MODE === "keys" && ADMIN_API_KEY === undefined;
  return locked ? "ADMIN_API_KEY is not set: nobody can get in" : OK;
}

function checkDefaultModel(config: Config): Check {
  const resolved = resolveModel(config.DEFAULT_MODEL, config);
  return resolved.ok ? OK : `DEFAULT_MODEL: ${resolved.reason}`;
}
