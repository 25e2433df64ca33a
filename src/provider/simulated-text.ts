import { z } from "zod";

import type { Usage } from "../schema/chat.ts";
import { SIMULATED_MODELS, type SimulatedModel } from "./table.ts";

const Content = z.union([z.string(), z.array(z.object({ text: z.string().optional() }))]).nullish();
const TokenLimit = z.int().min(1).nullish();
const NamedFunction = z.object({ function: z.object({ name: z.string() }) });

/** What the simulator reads of a request. */
const Prompt = z.object({
  model: z.string(),
  messages: z.array(z.object({ role: z.string(), content: Content })).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().optional() }).nullish(),
  max_tokens: TokenLimit,
  max_completion_tokens: TokenLimit,
  response_format: z.object({ type: z.string() }).optional(),
  tools: z.array(NamedFunction).optional(),
  tool_choice: z.union([z.string(), NamedFunction]).optional(),
});
export type Prompt = z.infer<typeof Prompt>;

export type Answer = {
  model: SimulatedModel;
  /** The function it calls; null if it answers in words. */
  calls: string | null;
  /** Of the content, or of the function's arguments. */
  tokens: string[];
  /** Null: it breaks off. */
  finish: "stop" | "length" | "tool_calls" | null;
  usage: Usage;
};

/** Null if it is no chat-completion request. */
export function parsePrompt(body: string): Prompt | null {
  try {
    return Prompt.safeParse(JSON.parse(body)).data ?? null;
  } catch {
    return null;
  }
}

export function modelOf(prompt: Prompt): SimulatedModel {
  return SIMULATED_MODELS.find((name) => name === prompt.model) ?? "standard";
}

/** The same for the same messages, whatever the model. */
export function seedOf(prompt: Prompt): number {
  return hashOf(JSON.stringify(prompt.messages.map((said) => [said.role, textOf(said.content)])));
}

/** FNV-1a, 32 bits: enough to tell prompts apart, and the same in every runtime. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

/** Numbers in [0, 1) that are always the same for a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function answerTo(prompt: Prompt, model: SimulatedModel, random: () => number): Answer {
  const calls = calledFunction(prompt);
  const all = calls === null ? tokensOf(contentFor(prompt, model, random)) : ["{", "}"];
  const limit = prompt.max_completion_tokens ?? prompt.max_tokens ?? Infinity;
  const sent = Math.min(limit, model === "cuts" ? Math.ceil(all.length / 3) : all.length);
  const chars = prompt.messages.reduce((sum, { content }) => sum + textOf(content).length, 0);
  const promptTokens = Math.ceil(chars / 4);
  return {
    model,
    calls,
    tokens: all.slice(0, sent),
    finish: finishOf(model, calls, sent < all.length),
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: sent,
      total_tokens: promptTokens + sent,
    },
  };
}

function calledFunction({ tool_choice: choice, tools }: Prompt): string | null {
  if (typeof choice === "object") return choice.function.name;
  return choice === "required" ? (tools?.[0]?.function.name ?? null) : null;
}

function finishOf(model: SimulatedModel, calls: string | null, short: boolean): Answer["finish"] {
  if (model === "cuts") return null;
  if (short) return "length";
  return calls === null ? "stop" : "tool_calls";
}

function contentFor(prompt: Prompt, model: SimulatedModel, random: () => number): string {
  const question = prompt.messages.findLast(({ role }) => role === "user");
  const words = model === "long" ? 1_990 : 60 + Math.floor(random() * 40);
  const answer = simulatedText(textOf(question?.content), words, random);
  const inJson = prompt.response_format?.type.startsWith("json_") === true;
  return inJson ? JSON.stringify({ simulated: true, answer }) : answer;
}

function textOf(content: Prompt["messages"][number]["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join(" ");
}

const QUOTE_CHARS = 80;
const SENTENCES_A_PARAGRAPH = 5;

/**
 * An answer nobody could take for a model's: it says what it is, quotes the question and fills up with prose.
 * It ends with the sentence that reaches `words`, at most 20 words later.
 */
function simulatedText(question: string, words: number, random: () => number): string {
  const quote = shortened(question);
  const asked = quote === "" ? "The" : `You asked “${quote}”, and the`;
  let text = `This is a simulated answer: no model was called. ${asked} rest is filler, sent piece by piece.`;
  let written = tokensOf(text).length;
  for (let sentences = 0; written < words || sentences === 0; sentences++) {
    const next = sentence(random);
    text += (sentences % SENTENCES_A_PARAGRAPH === 0 ? "\n\n" : " ") + next;
    written += tokensOf(next).length;
  }
  return text;
}

/** Splits before each blank, as models' tokens do; joined they are the text again. */
function tokensOf(text: string): string[] {
  return text.match(/\s*\S+/g) ?? [];
}

/** On one line. Counts code points, so that no character is cut in half. */
function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  // A code point takes at most two places, so a long prompt need not be taken apart whole.
  const characters = Array.from(line.slice(0, 2 * (QUOTE_CHARS + 1)));
  if (characters.length <= QUOTE_CHARS) return line;
  return characters.slice(0, QUOTE_CHARS - 1).join("") + "…";
}

const OPENINGS = [
  "After the rain",
  "By the old harbour",
  "Early in the morning",
  "Every now and then",
  "In the last carriage",
  "On the far bank",
  "Somewhere in the hills",
  "Toward the evening",
];

const SUBJECTS = [
  "a grey heron",
  "a patient ferryman",
  "a travelling clockmaker",
  "an unhurried letter",
  "somebody's younger sister",
  "the lighthouse keeper",
  "the night train",
  "the village postman",
];

const VERBS = [
  "carries",
  "comes upon",
  "counts",
  "follows",
  "gathers up",
  "looks for",
  "remembers",
  "waits for",
];

const OBJECTS = [
  "a bundle of blue envelopes",
  "a map without any borders",
  "every promise ever made",
  "the end of the story",
  "the first of the swallows",
  "the last of the light",
  "the sound of distant bells",
  "two tickets to the coast",
];

const ENDINGS = [
  "and nobody thinks it strange",
  "as if there were time enough",
  "because it was agreed that way",
  "but says nothing about it",
  "for that is how it began",
  "until somebody finally answers",
  "while the kettle comes to boil",
  "while the tide goes out",
];

function sentence(random: () => number): string {
  const pick = (choices: readonly string[]): string =>
    choices[Math.floor(random() * choices.length)] ?? "";
  return `${pick(OPENINGS)} ${pick(SUBJECTS)} ${pick(VERBS)} ${pick(OBJECTS)}, ${pick(ENDINGS)}.`;
}
