import type { Config } from "./config.ts";
import { OK, type Check, type Checks } from "../domain/health.ts";
import { resolveModel } from "../provider/resolve.ts";

/** What an operator can get wrong without any one setting being wrong by itself. */
export function checkSettings(config: Config): Checks {
  return {
    auth: checkAuth(config),
    intake: config.INTAKE === "paused" ? "INTAKE is paused: no new jobs are taken" : OK,
    default_model: checkDefaultModel(config),
    webhook_rules: checkWebhookRules(config),
  };
}

function checkWebhookRules({ AUTH_MODE, WEBHOOK_ALLOWED_ORIGINS }: Config): Check {
  const isOpen = AUTH_MODE === "keys" && WEBHOOK_ALLOWED_ORIGINS.length > 0;
  return isOpen ? "WEBHOOK_ALLOWED_ORIGINS is for development: any tenant may send there" : OK;
}

function checkAuth({ AUTH_MODE, ADMIN_API_KEY }: Config): Check {
  const locked = AUTH_MODE === "keys" && ADMIN_API_KEY === undefined;
  return locked ? "ADMIN_API_KEY is not set: nobody can make tenants or keys" : OK;
}

function checkDefaultModel(config: Config): Check {
  const resolved = resolveModel(config.DEFAULT_MODEL, config);
  return resolved.ok ? OK : `DEFAULT_MODEL: ${resolved.reason}`;
}
