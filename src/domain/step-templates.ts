import type { ChatMessage } from "../schema/chat.ts";
import type { KeptStep, Step } from "../schema/step.ts";
import type { Escaping } from "./template.ts";

/** A template of a step, and where in the step it stands (a JSON pointer). */
export type StepTemplate = { pointer: string; text: string; escaping: Escaping };

/** All templates of a step. */
export function templatesOf(step: Step | KeptStep): StepTemplate[] {
  switch (step.type) {
    case "llm":
      return [...textAt("/prompt", step.prompt), ...(step.messages ?? []).flatMap(textsIn)];
    case "http":
      return [
        ...textAt("/url", step.url, "url"),
        ...textAt("/body", step.body, bodyEscaping(step)),
      ];
    case "template":
      return textAt("/template", step.template);
    case "approval":
      return textAt("/message", step.message);
  }
}

function textAt(
  pointer: string,
  text: string | undefined,
  escaping: Escaping = "none",
): StepTemplate[] {
  return text === undefined ? [] : [{ pointer, text, escaping }];
}

function textsIn({ content }: ChatMessage, index: number): StepTemplate[] {
  const pointer = `/messages/${index}/content`;
  if (typeof content === "string") return textAt(pointer, content);
  return (content ?? []).flatMap((part, at) =>
    part.type === "text" ? textAt(`${pointer}/${at}/text`, part.text) : [],
  );
}

export const JSON_TYPE = "application/json";

/** How values are written in what is POSTed: so that they end nothing they stand in. */
export function bodyEscaping({
  content_type = JSON_TYPE,
}: {
  content_type?: string | undefined;
}): Escaping {
  const [type = ""] = content_type.toLowerCase().split(";");
  if (/^\s*application\/(json|[^\s]+\+json)\s*$/.test(type)) return "json";
  return /^\s*application\/x-www-form-urlencoded\s*$/.test(type) ? "url" : "none";
}
