import type { JsonObject } from "./json.ts";

/** A file that was sent with a run, without its bytes: those are at `url`. */
export interface MediaReference {
  id: string;
  filename: string;
  mime_type: string;
  /** The file's extension, or the subtype of its MIME type where it has none. */
  format: string;
  /** Bytes. */
  size: number;
  /** Path on this server that answers the bytes: `/media/{id}`. */
  url: string;
}

/** A model's wish to call a tool, as it stands in an assistant message. */
export interface MessageToolCall {
  /** Names this call everywhere else: events, `tools`, requirements. */
  id: string;
  /** The provider's own name for the call, which its output must carry. */
  call_id: string;
  type: "function";
  function: { name: string /** JSON text, as the model wrote it. */; arguments: string };
}

/** Why a turn of the model ended: by itself, to call tools, at its limit of tokens, by the provider's filter, or else. */
export type FinishReason = "stop" | "tool-calls" | "length" | "content-filter" | "other";

/** What one message of the model used. Times are in seconds. */
export interface MessageMetrics {
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  duration?: number;
  time_to_first_token?: number;
}

/**
 * One message of a run: the system prompt, what the user said, what the model answered, what a tool gave.
 * A run holds its own messages only; those of earlier runs stay with theirs.
 */
export interface Message {
  id: string;
  role: "system" | "user" | "assistant" | "tool";
  content?: string;
  from_history: boolean;
  stop_after_tool_call: boolean;
  /** Unix time in seconds. */
  created_at: number;
  /** The calls that an assistant message asks for. */
  tool_calls?: MessageToolCall[];
  /** Of an assistant message: `length` where the text was cut off. */
  finish_reason?: FinishReason;
  /** Of a tool message: the `call_id` of the call that it answers. */
  tool_call_id?: string;
  tool_name?: string;
  tool_args?: JsonObject;
  tool_call_error?: boolean;
  metrics?: MessageMetrics;
  /** Files that came with a user message, by kind. */
  files?: MediaReference[];
  images?: MediaReference[];
  audio?: MediaReference[];
  /** What the provider wants back unread in the next request, such as encrypted reasoning. */
  provider_items?: JsonObject[];
}

/** The files that a message names. */
export function mediaIn(message: Pick<Message, "files" | "images" | "audio">): MediaReference[] {
  return [...(message.images ?? []), ...(message.audio ?? []), ...(message.files ?? [])];
}

/** A turn of the model that asks for calls, some of which have no output yet. */
export interface OpenTurn {
  /** Its place among the messages. */
  at: number;
  calls: readonly MessageToolCall[];
  /** The `call_id` of those that have their output already. */
  answered: ReadonlySet<string | undefined>;
}

/** The last turn of the model, where some of its calls have no output yet. */
export function openTurn(messages: readonly Message[]): OpenTurn | undefined {
  const at = messages.findLastIndex(({ role }) => role !== "tool");
  const calls = messages[at]?.tool_calls ?? [];
  const answered = new Set(messages.slice(at + 1).map(({ tool_call_id }) => tool_call_id));
  return calls.some(({ call_id }) => !answered.has(call_id)) ? { at, calls, answered } : undefined;
}
