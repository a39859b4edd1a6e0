import type { LanguageModelV4CallOptions, LanguageModelV4FilePart } from "@ai-sdk/provider";
import { isJsonObject, type JsonObject } from "../events/json.ts";
import type { MessageToolCall } from "../events/messages.ts";
import type { Attachment, ModelMessage, ModelRequest } from "./model.ts";

// These are what the three versions agree on: one prompt serves them all, but for how a file holds its bytes.
type TextPart = { type: "text"; text: string; providerOptions?: JsonObject };
type ReasoningPart = { type: "reasoning"; text: string; providerOptions?: JsonObject };
type ToolCallPart = {
  type: "tool-call";
  toolCallId: string;
  toolName: string;
  input: JsonObject;
  providerOptions?: JsonObject;
};
type ToolResultPart = {
  type: "tool-result";
  toolCallId: string;
  toolName: string;
  output: { type: "text" | "error-text"; value: string };
};
type LegacyFilePart = { type: "file"; filename: string; mediaType: string; data: Uint8Array };
type AssistantPart = TextPart | ReasoningPart | ToolCallPart;

type PromptMessage<File> =
  | { role: "system"; content: string }
  | { role: "user"; content: (TextPart | File)[] }
  | { role: "assistant"; content: AssistantPart[] }
  | { role: "tool"; content: ToolResultPart[] };

/** A turn as a `v2` or `v3` model is asked for it. */
export function legacyRequest(request: ModelRequest) {
  const file = ({ filename, mime_type, bytes }: Attachment): LegacyFilePart => ({
    type: "file",
    filename,
    mediaType: mime_type,
    data: bytes,
  });
  return { ...sharedOptions(request), prompt: promptMessages(request.messages, file) };
}

/** A turn as a `v4` model is asked for it. */
export function v4Request(request: ModelRequest): LanguageModelV4CallOptions {
  const file = ({ filename, mime_type, bytes }: Attachment): LanguageModelV4FilePart => ({
    type: "file",
    filename,
    mediaType: mime_type,
    data: { type: "data", data: bytes },
  });
  return { ...sharedOptions(request), prompt: promptMessages(request.messages, file) };
}

function sharedOptions({ tools, output, signal }: ModelRequest) {
  return {
    abortSignal: signal,
    ...(tools.length > 0 && {
      tools: tools.map(({ name, description, parameters }) => ({
        type: "function" as const,
        name,
        description,
        inputSchema: parameters,
      })),
    }),
    ...(output && {
      responseFormat: { type: "json" as const, name: output.name, schema: output.schema },
    }),
  };
}

function promptMessages<File>(
  messages: readonly ModelMessage[],
  file: (attachment: Attachment) => File,
): PromptMessage<File>[] {
  const prompt: PromptMessage<File>[] = [];
  for (const message of messages) {
    switch (message.role) {
      case "system":
        prompt.push({ role: "system", content: message.content ?? "" });
        break;
      case "user":
        prompt.push({ role: "user", content: userParts(message, file) });
        break;
      case "assistant": {
        const content = assistantParts(message);
        if (content.length > 0) prompt.push({ role: "assistant", content });
        break;
      }
      case "tool": {
        // Some providers want the results of parallel calls in one message.
        const last = prompt.at(-1);
        if (last?.role === "tool") last.content.push(toolResult(message));
        else prompt.push({ role: "tool", content: [toolResult(message)] });
        break;
      }
    }
  }
  return prompt;
}

function userParts<File>(message: ModelMessage, file: (attachment: Attachment) => File): (TextPart | File)[] {
  const files = (message.attachments ?? []).map(file);
  const text = message.content ?? "";
  return text || files.length === 0 ? [{ type: "text", text }, ...files] : files;
}

function toolResult(message: ModelMessage): ToolResultPart {
  return {
    type: "tool-result",
    toolCallId: message.tool_call_id ?? "",
    toolName: message.tool_name ?? "",
    output: { type: message.tool_call_error ? "error-text" : "text", value: message.content ?? "" },
  };
}

/** Puts the message together in the order in which the model made it: some providers verify that. */
function assistantParts(message: ModelMessage): AssistantPart[] {
  const parts: AssistantPart[] = [];
  const items = (message.provider_items ?? []).filter(isReplayItem);
  const calls = [...(message.tool_calls ?? [])];
  let text = message.content ?? "";
  for (const item of items) {
    const options = item.providerOptions && { providerOptions: item.providerOptions };
    if (item.type === "reasoning") {
      parts.push({ type: "reasoning", text: item.text, ...options });
    } else if (item.type === "text") {
      if (text.length >= item.length)
        parts.push({ type: "text", text: text.slice(0, item.length), ...options });
      text = text.slice(item.length);
    } else {
      // Text that the provider has no data on comes before the calls, as models speak before they act.
      if (text) parts.push({ type: "text", text });
      text = "";
      const at = calls.findIndex((call) => call.call_id === item.toolCallId);
      const [call] = at < 0 ? [] : calls.splice(at, 1);
      if (call) parts.push({ ...toolCallPart(call), ...options });
    }
  }
  if (text) parts.push({ type: "text", text });
  return [...parts, ...calls.map(toolCallPart)];
}

function toolCallPart({ call_id, function: { name, arguments: json } }: MessageToolCall): ToolCallPart {
  return { type: "tool-call", toolCallId: call_id, toolName: name, input: parsedArguments(json) };
}

/** What was no JSON object has had its error as result; providers refuse anything else here. */
function parsedArguments(json: string): JsonObject {
  try {
    const value: unknown = JSON.parse(json);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/**
 * What a provider wants back: where it stood in the answer, and the provider's own data on it.
 * Signatures of reasoning (Anthropic), of tool calls (Google) and ids (OpenAI) all come this way.
 */
export type ReplayItem = { providerOptions?: JsonObject } & (
  | { type: "reasoning"; text: string }
  /** Not the text itself, which the message has: only how long it is. */
  | { type: "text"; length: number }
  | { type: "tool-call"; toolCallId: string }
);

/** A session may have begun with another kind of model, whose items are of another shape. */
function isReplayItem(item: JsonObject): item is ReplayItem {
  switch (item.type) {
    case "reasoning":
      return typeof item.text === "string";
    case "text":
      return typeof item.length === "number";
    case "tool-call":
      return typeof item.toolCallId === "string";
    default:
      return false;
  }
}
