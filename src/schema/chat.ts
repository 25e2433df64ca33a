import { z } from "zod";

/**
 * The parts of the chat-completions protocol a caller may send.
 * Source: OpenAI API reference, "Create chat completion".
 */

const ContentPart = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  z.strictObject({
    type: z.literal("image_url"),
    image_url: z.strictObject({
      url: z.string().min(1),
      detail: z.enum(["auto", "low", "high"]).optional(),
    }),
  }),
  z.strictObject({
    type: z.literal("input_audio"),
    input_audio: z.strictObject({ data: z.string().min(1), format: z.enum(["wav", "mp3"]) }),
  }),
  z.strictObject({
    type: z.literal("file"),
    file: z.strictObject({
      file_id: z.string().optional(),
      file_data: z.string().optional(),
      filename: z.string().optional(),
    }),
  }),
]);

const TextPart = z.strictObject({ type: z.literal("text"), text: z.string() });
const Text = z.union([z.string(), z.array(TextPart).min(1)]);
const Name = z.string().min(1).max(64).optional();

export const ToolCall = z
  .strictObject({
    id: z.string(),
    type: z.literal("function"),
    function: z.strictObject({
      name: z.string(),
      arguments: z.string().meta({ description: "JSON as the model wrote it; may be invalid." }),
    }),
  })
  .meta({ id: "ToolCall" });
export type ToolCall = z.infer<typeof ToolCall>;

export const ChatMessage = z
  .discriminatedUnion("role", [
    z.strictObject({ role: z.literal("system"), content: Text, name: Name }),
    z.strictObject({ role: z.literal("developer"), content: Text, name: Name }),
    z.strictObject({
      role: z.literal("user"),
      content: z.union([z.string(), z.array(ContentPart).min(1)]),
      name: Name,
    }),
    z.strictObject({
      role: z.literal("assistant"),
      content: z.union([Text, z.null()]).optional(),
      name: Name,
      tool_calls: z.array(ToolCall).min(1).optional(),
      refusal: z.string().nullish(),
    }),
    z.strictObject({ role: z.literal("tool"), content: Text, tool_call_id: z.string().min(1) }),
  ])
  .meta({ id: "ChatMessage" });
export type ChatMessage = z.infer<typeof ChatMessage>;

const FunctionName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const JsonSchema = z.record(z.string(), z.unknown());

const Tool = z.strictObject({
  type: z.literal("function"),
  function: z.strictObject({
    name: FunctionName,
    description: z.string().optional(),
    parameters: JsonSchema.optional(),
    strict: z.boolean().optional(),
  }),
});

const ResponseFormat = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({
    type: z.literal("json_schema"),
    json_schema: z.strictObject({
      name: FunctionName,
      description: z.string().optional(),
      schema: JsonSchema.optional(),
      strict: z.boolean().optional(),
    }),
  }),
]);

/** Passed to the model as they are. `max_tokens` is 4096 unless told. */
export const ModelParams = z
  .strictObject({
    max_tokens: z.int().min(1).max(1_000_000).optional().meta({ description: "Default 4096." }),
    temperature: z.number().min(0).max(2).optional(),
    top_p: z.number().min(0).max(1).optional(),
    stop: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(4)]).optional(),
    seed: z.int().optional(),
    response_format: ResponseFormat.optional(),
    tools: z.array(Tool).min(1).max(128).optional(),
    tool_choice: z
      .union([
        z.enum(["none", "auto", "required"]),
        z.strictObject({
          type: z.literal("function"),
          function: z.strictObject({ name: FunctionName }),
        }),
      ])
      .optional(),
  })
  .meta({ id: "ModelParams" });
export type ModelParams = z.infer<typeof ModelParams>;

export const Usage = z
  .object({
    prompt_tokens: z.int().min(0),
    completion_tokens: z.int().min(0),
    total_tokens: z.int().min(0),
    estimated: z.boolean().optional().meta({
      description: "True where the provider reported none and it was estimated.",
    }),
  })
  .meta({ id: "Usage" });
export type Usage = z.infer<typeof Usage>;
