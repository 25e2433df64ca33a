import type { Config } from "../settings/config.ts";
import { open, seal } from "./vault.ts";

/** A job's callback headers as they are kept; null if there are none. */
export async function sealHeaders(
  headers: Record<string, string>,
  tenant: string,
  config: Config,
): Promise<string | null> {
  if (Object.keys(headers).length === 0) return null;
  return seal(config, { purpose: "callback-headers", owner: tenant }, JSON.stringify(headers));
}

/** The same headers again, for an attempt. Null: the root key they were sealed under is gone. */
export async function openHeaders(
  sealed: string | null,
  tenant: string,
  config: Config,
): Promise<Record<string, string> | null> {
  if (sealed === null) return {};
  const text = await open(config, { purpose: "callback-headers", owner: tenant }, sealed);
  return text === null ? null : (JSON.parse(text) as Record<string, string>);
}
