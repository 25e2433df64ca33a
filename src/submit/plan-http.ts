import { callbackHeaderFaults } from "../domain/callback-headers.ts";
import type { HttpPlan } from "../domain/job.ts";
import { climbs } from "../domain/step-input.ts";
import { parseTemplate, renderTemplate } from "../domain/template.ts";
import { webhookUrlFault } from "../domain/webhook-url.ts";
import type { CreateJob } from "../schema/job.ts";
import type { HttpStep } from "../schema/step.ts";
import { sealStepHeaders } from "../secrets/sealed-headers.ts";
import type { Config } from "../settings/config.ts";
import type { Refusal } from "./models.ts";
import { escaped, webhookUrlRules } from "./plan-webhook.ts";

export type HttpStepsPlanned =
  | { ok: true; httpSteps: (HttpPlan | null)[] }
  /** A URL may not be used, or a step contradicts itself. */
  | { ok: false; isUrl: boolean; refusals: Refusal[] };

/**
 * What the `http` steps of a submission are sent with: checked, and with their headers sealed. By the index of the step.
 *
 * `submittedTo`: the origin the request came to.
 */
export async function planHttpSteps(
  { steps = [] }: CreateJob,
  { tenant, submittedTo }: { tenant: string; submittedTo: string },
  config: Config,
): Promise<HttpStepsPlanned> {
  const http = steps.map((step) => (step.type === "http" ? step : null));
  const each = http.map((step, index) => (step === null ? [] : faultsOf(step, index)));
  const refusals = each.flat();
  if (refusals.length > 0) return { ok: false, isUrl: false, refusals };
  const rules = webhookUrlRules(submittedTo, config);
  const refused = http.flatMap((step, index): Refusal[] => {
    const fault = step === null ? null : urlFault(step.url, (url) => webhookUrlFault(url, rules));
    return fault === null ? [] : [{ pointer: `/steps/${index}/url`, detail: `url: ${fault}` }];
  });
  if (refused.length > 0) return { ok: false, isUrl: true, refusals: refused };
  const sealed = http.map(async (step): Promise<HttpPlan | null> => {
    if (step === null) return null;
    const headers = await sealStepHeaders(step.headers ?? {}, tenant, config);
    return headers === null ? { submittedTo } : { headers, submittedTo };
  });
  return { ok: true, httpSteps: await Promise.all(sealed) };
}

/** A host, with its path, query or end right behind it: nothing that is filled in later is part of either's name. */
const WHOLE_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^/?#{}]+(?=[/?#]|$)/i;

/** Why a template of a URL may not be asked; the rest of it is judged once it is rendered. */
function urlFault(template: string, judge: (url: string) => string | null): string | null {
  if (!parseTemplate(template).ok) return null;
  if (template.includes("{{") && !WHOLE_ORIGIN.test(template)) {
    return "holds a reference before its path";
  }
  if (climbs(template)) return "holds . or .. in its path";
  const bare = renderTemplate(template, {}, "url");
  return bare.ok ? judge(bare.text) : null;
}

/** Source: RFC 9110 section 5.6.2 and 8.3.1, without line breaks of any kind. */
const MEDIA_TYPE = /^[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+( *;[\x20-\x7e]*)?$/;

function faultsOf(step: HttpStep, index: number): Refusal[] {
  const at = (field: string, detail: string) => ({
    pointer: `/steps/${index}/${field}`,
    detail: `${field.split("/", 1).join("")}${detail}`,
  });
  const faults = headerFaults(step).map(({ name, detail }) =>
    name === null
      ? at("headers", `: ${detail}`)
      : at(`headers/${escaped(name)}`, `.${name}: ${detail}`),
  );
  const { method = "GET", body, content_type: type } = step;
  if (method === "GET" && body !== undefined) faults.push(at("body", " needs method POST"));
  if (type !== undefined && body === undefined) faults.push(at("content_type", " needs body"));
  if (type !== undefined && !MEDIA_TYPE.test(type)) {
    faults.push(at("content_type", " is not a media type"));
  }
  return faults;
}

/** The rules for callback headers, and the one that tells a receiver that a request comes again: it is ours. */
function headerFaults({ headers = {} }: HttpStep) {
  // Receivers behind CGI and its heirs cannot tell the two spellings apart.
  const ours = Object.keys(headers).filter((name) => /^idempotency[-_]key$/i.test(name));
  return [
    ...callbackHeaderFaults(headers),
    ...ours.map((name) => ({ name, detail: "is not the caller's to set" })),
  ];
}
