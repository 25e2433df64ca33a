import type { Config } from "../settings/config.ts";
import { open, seal, type Seal } from "./vault.ts";

type Headers = Record<string, string>;

/** A job's callback headers as they are kept; null if there are none. */
export function sealHeaders(
  headers: Headers,
  tenant: string,
  config: Config,
): Promise<string | null> {
  return sealed(headers, { purpose: "callback-headers", owner: tenant }, config);
}

/** The same headers again, for an attempt. Null: the root key they were sealed under is gone. */
export function openHeaders(
  text: string | null,
  tenant: string,
  config: Config,
): Promise<Headers | null> {
  return opened(text, { purpose: "callback-headers", owner: tenant }, config);
}

/** The headers of an `http` step as they are kept; null if there are none. */
export function sealStepHeaders(
  headers: Headers,
  tenant: string,
  config: Config,
): Promise<string | null> {
  return sealed(headers, { purpose: "step-headers", owner: tenant }, config);
}

/** The same headers again, for a run of the step. Null: the root key they were sealed under is gone. */
export function openStepHeaders(
  text: string | null,
  tenant: string,
  config: Config,
): Promise<Headers | null> {
  return opened(text, { purpose: "step-headers", owner: tenant }, config);
}

async function sealed(headers: Headers, as: Seal, config: Config): Promise<string | null> {
  if (Object.keys(headers).length === 0) return null;
  return seal(config, as, JSON.stringify(headers));
}

async function opened(text: string | null, as: Seal, config: Config): Promise<Headers | null> {
  if (text === null) return {};
  const json = await open(config, as, text);
  return json === null ? null : (JSON.parse(json) as Headers);
}
