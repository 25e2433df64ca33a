import type { Config } from "../settings/config.ts";
import { callbackHeaderFaults } from "../domain/callback-headers.ts";
import { eventsAskedFor, type Webhook } from "../domain/webhook.ts";
import { webhookUrlFault, type WebhookUrlRules } from "../domain/webhook-url.ts";
import { gateName } from "../ids.ts";
import type { Refusal } from "./models.ts";
import type { CreateJob } from "../schema/job.ts";
import { sealHeaders } from "../secrets/sealed-headers.ts";

export type WebhookPlanned =
  | { ok: true; webhook: Webhook | null }
  /** The URL may not be used, or the request contradicts itself. */
  | { ok: false; isUrl: boolean; refusals: Refusal[] };

/**
 * Where a submission's events are to go, checked and with its headers sealed; null if nowhere.
 *
 * `submittedTo`: the origin the request came to.
 */
export async function planWebhook(
  request: CreateJob,
  { tenant, submittedTo }: { tenant: string; submittedTo: string },
  config: Config,
): Promise<WebhookPlanned> {
  const url = request.webhook_url ?? null;
  const headers = request.callback_headers ?? {};
  const refusals = url === null ? faultsWithout(request) : headerFaults(headers);
  if (refusals.length > 0) return { ok: false, isUrl: false, refusals };
  if (url === null) return { ok: true, webhook: null };
  const fault = webhookUrlFault(url, webhookUrlRules(submittedTo, config));
  if (fault !== null) {
    const detail = `webhook_url: ${fault}`;
    return { ok: false, isUrl: true, refusals: [{ pointer: "/webhook_url", detail }] };
  }
  const webhook: Webhook = {
    url,
    gate: await gateName(tenant, url),
    events: eventsAskedFor(request),
    headers: await sealHeaders(headers, tenant, config),
    submittedTo,
    maxBodyBytes: config.WEBHOOK_MAX_PAYLOAD_BYTES,
  };
  return { ok: true, webhook };
}

/** What a webhook's URL is judged by, at submission and again at every attempt. */
export function webhookUrlRules(
  ownOrigin: string,
  { OWN_HOSTS: ownHosts, WEBHOOK_ALLOWED_ORIGINS: allowedOrigins }: Config,
): WebhookUrlRules {
  return { ownOrigin, ownHosts, allowedOrigins };
}

/** What only a webhook gives a meaning. Dropped in silence it would be missed when it is too late. */
function faultsWithout({ callback_headers, webhook_events = [] }: CreateJob): Refusal[] {
  const given = [
    ...(Object.keys(callback_headers ?? {}).length > 0 ? ["callback_headers"] : []),
    ...(webhook_events.length > 0 ? ["webhook_events"] : []),
  ];
  return given.map((field) => ({ pointer: `/${field}`, detail: `${field} needs webhook_url` }));
}

function headerFaults(headers: Record<string, string>): Refusal[] {
  return callbackHeaderFaults(headers).map(({ name, detail }) => ({
    pointer: name === null ? "/callback_headers" : `/callback_headers/${escaped(name)}`,
    detail: `callback_headers${name === null ? "" : `.${name}`}: ${detail}`,
  }));
}

/** A name as a part of a pointer. Source: RFC 6901. */
export function escaped(part: string): string {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}
