import type { Command, Part } from "../../src/domain/command.ts";
import { ANSWER } from "./fixtures.ts";
import { reportOf, type Metered } from "./meter.ts";
import type { Which } from "./scenario.ts";
import type { Consumer } from "./world.ts";

/** The same part of the same attempt always has the same text, and no two have the same. */
export function partOf({ attempt, said }: Consumer, which: Which): Part {
  const number = numberOf(said.length, which);
  const text = which === "none" ? "" : `[attempt ${attempt}, part ${number}]`;
  return { part: number, text, ttftMs: 620 };
}

function numberOf(next: number, which: Which): number {
  if (which === "gap") return next + 1;
  return which === "again" && next > 0 ? next - 1 : next;
}

export function commandOf(
  type: "append" | "complete",
  { token }: Consumer,
  part: Part,
  metered: Metered = "known",
): Extract<Command, { type: "append" | "complete" }> {
  if (type === "append") return { type, token, ...part };
  const report = reportOf(metered);
  return { type, token, ...part, answer: { ...ANSWER, usage: report.usage }, report };
}

/** An answer to what a job asks for. `number`: of the step that asks, in the job of the tests. */
export function answerTo(
  { uid }: { uid: string },
  number: number,
  approved: boolean,
): Extract<Command, { type: "input" }> {
  const output = JSON.stringify({ approved, comment: null, data: null });
  const requestId = `input_${uid}_${number}`;
  return { type: "input", requestId, approved, output, digest: `digest of ${approved}` };
}
