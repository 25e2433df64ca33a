import { env } from "cloudflare:workers";

import type { AttemptPorts } from "../../src/consumer/attempt.ts";
import { configOf } from "../../src/settings/config.ts";
import type { CallError } from "../../src/domain/failure.ts";
import { workWith } from "../../src/consumer/work.ts";
import type { RunHttpStep } from "../../src/domain/step-run.ts";
import type { Permits } from "../../src/consumer/permits.ts";
import type { CallOutcome } from "../../src/provider/answer.ts";
import type { CallModel } from "../../src/provider/call.ts";
import { ANSWER, job } from "./support.ts";

/** How a scripted call ends: with an answer, or cut off before anything came. */
export const ANSWERED = {
  ok: true,
  answer: ANSWER,
  usage: ANSWER.usage,
  begun: true,
  answerBytes: 0,
} as const;
const STOPPED = outcomeOf({ kind: "cut" });

/** Of a call that failed before anything came. */
export function outcomeOf(error: CallError): CallOutcome & { ok: false } {
  return { ok: false, error, usage: null, begun: false, answerBytes: 0 };
}

/** Permits every call. */
const FREELY: Permits = {
  ask: ({ provider, tokens }) =>
    Promise.resolve({ id: null, tokens, single: false, provider, line: "normal" }),
  giveBack: () => Promise.resolve(),
  settle: () => Promise.resolve(),
};

export function portsOf(
  name: string,
  model: CallModel,
  { http = answering(""), ...overrides }: Partial<AttemptPorts> & { http?: RunHttpStep } = {},
): AttemptPorts {
  const config = configOf({ ...env, UNWATCHED_JOIN_MS: "0" });
  const needs = { line: "normal", provider: "openai", tenant: "acme", tokens: 12, since: 0 };
  const calls = { work: workWith(model, http), permits: FREELY, needs };
  return { name, job: () => job(name), config, now: Date.now, ...calls, ...overrides };
}

/** An `http` step that is answered so. */
export function answering(text: string): RunHttpStep {
  return () => Promise.resolve({ ok: true, text });
}

/** Says these texts and has then answered. */
export function saying(...texts: string[]): CallModel {
  return (_call, onText) => {
    for (const text of texts) onText(text);
    return Promise.resolve(ANSWERED);
  };
}

/** Resolves when the call is told to stop, as a streaming client does. */
export function untilStopped(stop: AbortSignal): Promise<typeof STOPPED> {
  return new Promise((resolve) => {
    stop.addEventListener("abort", () => resolve(STOPPED));
  });
}

/** Is cut off before it has said a word. */
export const beingCut: CallModel = () => Promise.resolve(STOPPED);
