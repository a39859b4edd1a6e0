import { isJsonObject, type JsonObject } from "../events/json.ts";
import type { Attachment, ModelMessage, ModelRequest, OutputFormat, ToolDefinition } from "./model.ts";
import { qualifiesForStrictMode } from "./strict-schema.ts";

/** How much a reasoning model thinks, and what it shows of it. */
export interface ReasoningSettings {
  /** Such as `low`, `medium` or `high`; which ones there are depends on the model. */
  effort?: string;
  /** `auto`, `concise` or `detailed`. Without it OpenAI shows nothing of the reasoning. */
  summary?: string;
}

/** What is sent with every request of a model. */
export interface OpenAISettings {
  id: string;
  store: boolean;
  temperature?: number | undefined;
  maxOutputTokens?: number | undefined;
  reasoning?: ReasoningSettings | undefined;
}

/**
 * The body of `POST /responses` for one turn.
 *
 * @param request - what the agent asks
 * @param settings - what the model adds
 * @see https://platform.openai.com/docs/api-reference/responses/create
 */
export function openaiRequest(request: ModelRequest, settings: OpenAISettings): JsonObject {
  const body: JsonObject = {
    model: settings.id,
    input: request.messages.flatMap(inputItems),
    stream: request.stream,
    store: settings.store,
  };
  if (request.tools.length > 0) body.tools = request.tools.map(toolParameter);
  if (request.output) body.text = { format: textFormat(request.output) };
  if (settings.temperature !== undefined) body.temperature = settings.temperature;
  if (settings.maxOutputTokens !== undefined) body.max_output_tokens = settings.maxOutputTokens;
  if (settings.reasoning) body.reasoning = settings.reasoning;
  if (!settings.store && reasons(settings)) body.include = ["reasoning.encrypted_content"];
  return body;
}

/**
 * Whether to ask for encrypted reasoning. OpenAI keeps no reasoning of a response that is not stored: without this
 * a reasoning model forgets between two tool calls why it made the first. Other models answer 400 when asked for it,
 * so the id must tell. `gpt-5-chat` and its like do not reason. Prefixes are of gateways (`openai/…`) and of fine-tuned
 * models (`ft:…`).
 */
function reasons({ id, reasoning }: OpenAISettings): boolean {
  if (reasoning) return true;
  const name = id.slice(id.lastIndexOf("/") + 1).replace(/^ft:/, "");
  return /^(?:o\d|gpt-oss|codex|gpt-(?:[5-9]|\d\d)(?!\d))/.test(name) && !name.includes("-chat");
}

function inputItems(message: ModelMessage): JsonObject[] {
  switch (message.role) {
    case "system":
      return [{ role: "developer", content: message.content ?? "" }];
    case "user":
      return [{ role: "user", content: userContent(message) }];
    case "assistant":
      return [
        ...(message.provider_items ?? []).filter(isReasoningItem),
        ...(message.content ? [{ role: "assistant", content: message.content }] : []),
        ...(message.tool_calls ?? []).map((call) => ({
          type: "function_call",
          call_id: call.call_id,
          name: call.function.name,
          arguments: call.function.arguments,
        })),
      ];
    case "tool":
      return [
        { type: "function_call_output", call_id: message.tool_call_id ?? "", output: message.content ?? "" },
      ];
  }
}

/** A session may have begun with another provider's model, whose items OpenAI would refuse. */
function isReasoningItem(item: JsonObject): boolean {
  return item.type === "reasoning" && typeof item.encrypted_content === "string";
}

function userContent(message: ModelMessage): string | JsonObject[] {
  if (!message.attachments || message.attachments.length === 0) return message.content ?? "";
  const files = message.attachments.map(attachmentPart);
  return message.content ? [{ type: "input_text", text: message.content }, ...files] : files;
}

function attachmentPart(file: Attachment): JsonObject {
  const data = Buffer.from(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength).toString(
    "base64",
  );
  switch (file.kind) {
    case "image":
      return { type: "input_image", image_url: `data:${file.mime_type};base64,${data}` };
    case "audio":
      return { type: "input_audio", input_audio: { data, format: audioFormat(file.mime_type) } };
    case "file":
      return {
        type: "input_file",
        filename: file.filename,
        file_data: `data:${file.mime_type};base64,${data}`,
      };
  }
}

function audioFormat(mimeType: string): string {
  const subtype = mimeType.replace(/^audio\//, "").replace(/;.*$/, "");
  if (subtype === "mpeg") return "mp3";
  if (["wave", "x-wav", "vnd.wave"].includes(subtype)) return "wav";
  return subtype;
}

function toolParameter({ name, description, parameters }: ToolDefinition): JsonObject {
  return { type: "function", name, description, parameters, strict: false };
}

function textFormat({ name, schema }: OutputFormat): JsonObject {
  return {
    type: "json_schema",
    name: name.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64) || "output",
    schema,
    strict: isJsonObject(schema) && qualifiesForStrictMode(schema),
  };
}
