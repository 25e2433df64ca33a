import { NO_ANSWER } from "../domain/advance.ts";
import { refusedStep, type Failure } from "../domain/failure.ts";
import { renderStep } from "../domain/step-input.ts";
import type { RunHttpStep } from "../domain/step-run.ts";
import type { Leased, LeasedStep } from "../job/job-rpc.ts";
import type { CallOutcome } from "../provider/answer.ts";
import type { CallModel } from "../provider/call.ts";

/** Does what a lease is for, once. Never throws: whatever goes wrong is an outcome. */
export type Work = (
  lease: Leased,
  onText: (text: string) => void,
  stop: AbortSignal,
) => Promise<CallOutcome>;

/** A call to a model or, of a job that has steps, the step that is leased. */
export function workWith(model: CallModel, http: RunHttpStep): Work {
  return (lease, onText, stop) => {
    const { step } = lease;
    return step === undefined
      ? model(lease, onText, stop)
      : workAtStep(step, lease, { model, http }, onText, stop);
  };
}

async function workAtStep(
  step: LeasedStep,
  lease: Leased,
  { model, http }: { model: CallModel; http: RunHttpStep },
  onText: (text: string) => void,
  stop: AbortSignal,
): Promise<CallOutcome> {
  const rendered = renderStep(lease.request, step.index, step.outputs);
  switch (rendered.type) {
    case "llm":
      return model({ ...lease, request: rendered.request }, onText, stop);
    case "http": {
      const { tenant, idempotencyKey, sealedHeaders, submittedTo } = step;
      const run = { rendered, tenant, idempotencyKey, sealedHeaders, submittedTo };
      const outcome = await http({ ...run, timeoutMs: lease.timeoutMs, stop });
      return outcome.ok ? said(outcome.text, onText) : failed(outcome.failure);
    }
    case "template":
      return said(rendered.text, onText);
    case "approval":
      return failed(refusedStep("An approval is nobody's to carry out"));
    case "refused":
      return failed(refusedStep(rendered.reason));
  }
}

/** Of a call there is nothing to be told: none was made. */
const NO_CALL = { usage: null, begun: false, answerBytes: 0 } as const;

function said(text: string, onText: (text: string) => void): CallOutcome {
  if (text !== "") onText(text);
  return { ok: true, answer: NO_ANSWER, ...NO_CALL };
}

function failed(failure: Failure): CallOutcome {
  return { ok: false, error: { kind: "step", failure }, ...NO_CALL };
}
