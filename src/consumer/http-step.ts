import { classifyHttpStep, type HttpStepError } from "../domain/failure.ts";
import { parseRetryAfter } from "../domain/retry.ts";
import type { HttpStepRun, RenderedHttp, RunHttpStep } from "../domain/step-run.ts";
import { webhookUrlFault } from "../domain/webhook-url.ts";
import { openStepHeaders } from "../secrets/sealed-headers.ts";
import type { Config } from "../settings/config.ts";
import { webhookUrlRules } from "../submit/plan-webhook.ts";

/** What a run of an `http` step takes from outside itself. */
export type HttpStepPorts = { config: Config; fetch: typeof fetch; now: () => number };

type Outcome = { ok: true; text: string } | { ok: false; error: HttpStepError };

/**
 * Carries out `http` steps: one request, whose answer is the step's output.
 *
 * The URL is judged again, as a webhook's is at each attempt; redirects are not followed, for nobody has judged
 * where they lead. The answer is counted while it is read, unpacked, and dropped at the first byte too many. Nothing of
 * what was sent or answered is in a failure.
 */
export function httpStepRunner(ports: HttpStepPorts): RunHttpStep {
  return async (run) => {
    const outcome = await outcomeOf(run, ports);
    return outcome.ok ? outcome : { ok: false, failure: classifyHttpStep(outcome.error) };
  };
}

async function outcomeOf(run: HttpStepRun, ports: HttpStepPorts): Promise<Outcome> {
  const { rendered, tenant, sealedHeaders, submittedTo } = run;
  const { config } = ports;
  const fault = webhookUrlFault(rendered.url, webhookUrlRules(submittedTo, config));
  if (fault !== null) return failed({ kind: "url", fault });
  const headers = await openStepHeaders(sealedHeaders, tenant, config);
  return headers === null ? failed({ kind: "sealed" }) : ask(run, headers, ports);
}

async function ask(
  { rendered, idempotencyKey, timeoutMs, stop }: HttpStepRun,
  own: Record<string, string>,
  // Taken apart, since the platform's fetch works as nobody's method only.
  { fetch, now }: HttpStepPorts,
): Promise<Outcome> {
  const { method, url, body, maxBytes } = rendered;
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), timeoutMs);
  const signal = AbortSignal.any([stop, limit.signal]);
  let begun = false;
  try {
    const headers = headersOf(rendered, own, idempotencyKey);
    const response = await fetch(url, { method, headers, body, redirect: "manual", signal });
    begun = true;
    if (!response.ok) {
      await response.body?.cancel();
      const { status } = response;
      const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), now());
      return failed({ kind: "status", status, retryAfterMs });
    }
    const text = await textWithin(response.body, maxBytes);
    if (text === null) return failed({ kind: "too_long", maxBytes });
    return { ok: true, text: withoutSecrets(text, own) };
  } catch {
    if (limit.signal.aborted) return failed({ kind: "timeout" });
    return failed({ kind: begun ? "cut" : "unreachable" });
  } finally {
    clearTimeout(timer);
  }
}

function failed(error: HttpStepError): Outcome {
  return { ok: false, error };
}

/** Ours are set last, over whatever the caller's are. Only what changes something needs a key. */
function headersOf(
  { method, body, contentType }: RenderedHttp,
  own: Record<string, string>,
  idempotencyKey: string,
): Headers {
  const headers = new Headers(own);
  headers.set("user-agent", "Afterword");
  if (body !== null) headers.set("content-type", contentType);
  if (method === "POST") headers.set("idempotency-key", idempotencyKey);
  return headers;
}

/**
 * The answer's text; null where it is longer. Leaving the loop cancels the rest. The text is measured as well: what is no
 * UTF-8 becomes three bytes for one, and a job's costs were reserved for no more than `maxBytes`.
 */
async function textWithin(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  text += decoder.decode();
  return new TextEncoder().encode(text).byteLength > maxBytes ? null : text;
}

/** Shorter than this a value may well be in an answer that does not repeat it. */
const LEAST_SECRET = 16;

/**
 * An answer without the values of the headers it was asked with: a receiver that writes out what it got must not make
 * them readable. What is asked for (`accept`) is no secret, and answers name it.
 */
function withoutSecrets(text: string, headers: Record<string, string>): string {
  const values = Object.entries(headers)
    .filter(([name]) => !name.toLowerCase().startsWith("accept"))
    .flatMap(([, value]) => [value, value.slice(value.indexOf(" ") + 1)])
    .flatMap((value) => [value, JSON.stringify(value).slice(1, -1)]);
  return values
    .filter(({ length }) => length >= LEAST_SECRET)
    .toSorted((one, other) => other.length - one.length)
    .reduce((told, secret) => told.replaceAll(secret, "…"), text);
}
