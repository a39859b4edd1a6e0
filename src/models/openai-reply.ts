import { ModelError } from "../errors.ts";
import type { JsonObject } from "../events/json.ts";
import type { TokenUsage } from "../events/metrics.ts";
import type { ModelEvent } from "./model.ts";
import { failedResponse, type OpenAIErrorBody } from "./openai-errors.ts";
import type { SseMessage } from "./sse.ts";

type FinishEvent = Extract<ModelEvent, { type: "finish" }>;

interface Part {
  type: string;
  text?: string;
  refusal?: string;
}

interface OutputItem {
  type: string;
  id?: string;
  status?: string;
  call_id?: string;
  name?: string;
  arguments?: string;
  content?: Part[] | null;
  summary?: Part[] | null;
  encrypted_content?: string | null;
}

/** What `POST /responses` answers; as much of it as is read here. */
export interface OpenAIResponse {
  status?: string;
  output?: OutputItem[];
  error?: OpenAIErrorBody | null;
  incomplete_details?: { reason?: string } | null;
  usage?: {
    input_tokens?: number;
    output_tokens?: number;
    total_tokens?: number;
    input_tokens_details?: { cached_tokens?: number; cache_write_tokens?: number } | null;
    output_tokens_details?: { reasoning_tokens?: number } | null;
  } | null;
}

interface StreamEvent extends OpenAIErrorBody {
  type: string;
  delta?: string;
  output_index?: number;
  summary_index?: number;
  item?: OutputItem;
  response?: OpenAIResponse;
  error?: OpenAIErrorBody | null;
}

/** The stream events that are read. Most of the others repeat what came in deltas. */
const read = new Set([
  "response.output_text.delta",
  "response.refusal.delta",
  "response.reasoning_summary_text.delta",
  "response.reasoning_text.delta",
  "response.output_item.done",
  "response.completed",
  "response.incomplete",
  "response.failed",
  "error",
]);

/** Reads one streamed answer, event by event. Make a new one for each answer. */
export class StreamedReply {
  #called = false;
  #lostCall = false;
  #reasoningItem: number | undefined;
  #summary: number | undefined;

  /**
   * Reads the next event of the stream.
   *
   * @returns what it tells, if anything; after `finish` nothing follows
   * @throws {ModelError} when the event says that the answer failed
   * @throws {SyntaxError} when its data is not JSON
   */
  read(message: SseMessage): ModelEvent | undefined {
    // Some servers leave the name out and have it in the data alone.
    if (message.event !== "" && !read.has(message.event)) return undefined;
    const event = JSON.parse(message.data) as StreamEvent;
    switch (event.type) {
      case "response.output_text.delta":
      case "response.refusal.delta":
        return event.delta ? { type: "text", delta: event.delta } : undefined;
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        return event.delta ? { type: "reasoning", delta: this.#paragraph(event) + event.delta } : undefined;
      case "response.output_item.done": {
        const told = event.item && itemEvent(event.item);
        if (told?.type === "tool-call") this.#called = true;
        if (event.item && isLostCall(event.item)) this.#lostCall = true;
        return told;
      }
      case "response.completed":
      case "response.incomplete":
        return finish(event.response ?? {}, this.#called, this.#lostCall);
      case "response.failed":
        throw failedResponse(event.response?.error ?? undefined);
      case "error":
        throw failedResponse(event.error ?? event);
      default:
        return undefined;
    }
  }

  /** Summaries come in several parts, each a paragraph of its own, with nothing between them. */
  #paragraph({ output_index, summary_index }: StreamEvent): string {
    const isNext =
      this.#reasoningItem !== undefined &&
      (this.#reasoningItem !== output_index || this.#summary !== summary_index);
    this.#reasoningItem = output_index;
    this.#summary = summary_index;
    return isNext ? "\n\n" : "";
  }
}

/**
 * The events of an answer that came in one piece.
 *
 * @throws {ModelError} when the answer says that it failed
 */
export function wholeReply(response: OpenAIResponse): ModelEvent[] {
  if (response.status === "failed" || response.status === "cancelled")
    throw failedResponse(response.error ?? undefined);
  if (!Array.isArray(response.output))
    throw new ModelError("OpenAI answered something that is no response. Check OPENAI_BASE_URL.");
  const items = response.output;
  const reasoning = items.filter((item) => item.type === "reasoning").flatMap(reasoningTexts);
  const text = items.filter((item) => item.type === "message").map(messageText);
  const rest = items.flatMap((item) => itemEvent(item) ?? []);

  const events: ModelEvent[] = [];
  if (reasoning.length > 0) events.push({ type: "reasoning", delta: reasoning.join("\n\n") });
  const answer = text.join("");
  if (answer) events.push({ type: "text", delta: answer });
  events.push(...rest);
  events.push(
    finish(
      response,
      rest.some((event) => event.type === "tool-call"),
    ),
  );
  return events;
}

function reasoningTexts(item: OutputItem): string[] {
  return [...(item.summary ?? []), ...(item.content ?? [])].flatMap((part) => part.text || []);
}

function messageText(item: OutputItem): string {
  return (item.content ?? []).map((part) => part.text ?? part.refusal ?? "").join("");
}

function itemEvent(item: OutputItem): ModelEvent | undefined {
  if (item.type === "function_call") {
    // The arguments of an incomplete call are cut off: `finish` tells why.
    if (isLostCall(item) || !item.name) return undefined;
    const callId = item.call_id ?? item.id ?? "";
    return {
      type: "tool-call",
      id: item.id ?? callId,
      callId,
      name: item.name,
      arguments: item.arguments ?? "{}",
    };
  }
  if (item.type === "reasoning" && item.encrypted_content)
    return { type: "provider-item", item: replayable(item) };
  return undefined;
}

/** OpenAI refuses some of what it sent itself, such as a `status` or a `content` of null. */
function replayable({ id, summary, content, encrypted_content }: OutputItem): JsonObject {
  const item: JsonObject = { type: "reasoning", id, summary: summary ?? [], encrypted_content };
  if (content && content.length > 0) item.content = content;
  return item;
}

function isLostCall({ type, status }: OutputItem): boolean {
  return type === "function_call" && status === "incomplete";
}

function finish(response: OpenAIResponse, called: boolean, lostCall = false): FinishEvent {
  const lost = lostCall || (response.output ?? []).some(isLostCall);
  return {
    type: "finish",
    usage: usageOf(response),
    finishReason: finishReason(response, called),
    ...(lost && { lostCall: true }),
  };
}

function finishReason(response: OpenAIResponse, called: boolean): FinishEvent["finishReason"] {
  if (response.status === "incomplete") {
    const reason = response.incomplete_details?.reason;
    if (reason === "max_output_tokens") return "length";
    return reason === "content_filter" ? "content-filter" : "other";
  }
  return called ? "tool-calls" : "stop";
}

function usageOf({ usage }: OpenAIResponse): TokenUsage {
  const input = usage?.input_tokens ?? 0;
  const output = usage?.output_tokens ?? 0;
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: usage?.total_tokens ?? input + output,
    reasoning_tokens: usage?.output_tokens_details?.reasoning_tokens ?? 0,
    cache_read_tokens: usage?.input_tokens_details?.cached_tokens ?? 0,
    cache_write_tokens: usage?.input_tokens_details?.cache_write_tokens ?? 0,
  };
}
