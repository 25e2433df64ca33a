import type { ChatMessage } from "../schema/chat.ts";

/** The words of a message; of an image or a sound there are none. */
export function textOf({ content }: Pick<ChatMessage, "content">): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
}
