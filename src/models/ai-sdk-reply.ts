import type {
  LanguageModelV2Content,
  LanguageModelV2FinishReason,
  LanguageModelV2StreamPart,
  LanguageModelV2Usage,
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
} from "@ai-sdk/provider";
import { ModelError } from "../errors.ts";
import type { JsonObject } from "../events/json.ts";
import type { TokenUsage } from "../events/metrics.ts";
import { aiSdkError } from "./ai-sdk-errors.ts";
import type { ReplayItem } from "./ai-sdk-prompt.ts";
import type { ModelEvent } from "./model.ts";

/** A part of a stream, of any version. */
export type AiSdkPart = LanguageModelV2StreamPart | LanguageModelV3StreamPart | LanguageModelV4StreamPart;

type Content = LanguageModelV2Content | LanguageModelV3Content | LanguageModelV4Content;
type Usage = LanguageModelV2Usage | LanguageModelV3Usage | LanguageModelV4Usage;
type FinishReason = LanguageModelV2FinishReason | LanguageModelV3FinishReason | LanguageModelV4FinishReason;
type ToolCall = Extract<Content, { type: "tool-call" }>;
type Metadata = JsonObject | undefined;

/** An answer that came in one piece, of any version. */
export interface AiSdkResult {
  content: readonly Content[];
  usage: Usage;
  finishReason: FinishReason;
}

/** A text or a reasoning that has begun. */
interface Block {
  text: string;
  metadata: Metadata;
}

/** Reads one answer of an AI SDK model. Make a new one for each answer. */
export class AiSdkReply {
  /** Whether the answer is complete. */
  finished = false;
  readonly #provider: string;
  readonly #blocks = new Map<string, Block>();
  /** Calls whose arguments are on their way. */
  readonly #callsBegun = new Set<string>();
  #reasoned = false;

  constructor(provider: string) {
    this.#provider = provider;
  }

  /**
   * Reads the next part of a stream.
   *
   * @returns the events that it stands for, in order; none for parts that an agent has no use for
   * @throws {ModelError} when the part is an error
   */
  read(part: AiSdkPart): ModelEvent[] {
    switch (part.type) {
      case "text-start":
      case "reasoning-start":
        return this.#begin(part.type, part.id, part.providerMetadata);
      case "text-delta":
        this.#grow(part.id, part.delta, part.providerMetadata);
        return part.delta ? [{ type: "text", delta: part.delta }] : [];
      case "reasoning-delta":
        this.#grow(part.id, part.delta, part.providerMetadata);
        return part.delta ? [{ type: "reasoning", delta: part.delta }] : [];
      case "text-end": {
        const block = this.#end(part.id, part.providerMetadata);
        return block.metadata ? [textItem(block)] : [];
      }
      case "reasoning-end": {
        const block = this.#end(part.id, part.providerMetadata);
        return block.text || block.metadata ? [reasoningItem(block)] : [];
      }
      case "tool-input-start":
        this.#callsBegun.add(part.id);
        return [];
      case "tool-call":
        this.#callsBegun.delete(part.toolCallId);
        return toolCallEvents(part);
      case "finish":
        return [this.#finish(part.usage, part.finishReason)];
      case "error":
        throw aiSdkError(part.error, this.#provider);
      default:
        return [];
    }
  }

  /**
   * Reads an answer that came in one piece.
   *
   * @returns at most one text and one reasoning; the last event is `finish`
   * @throws {ModelError} when the answer failed
   */
  readWhole({ content, usage, finishReason }: AiSdkResult): ModelEvent[] {
    const reasoning: string[] = [];
    const text: string[] = [];
    const rest: ModelEvent[] = [];
    for (const part of content) {
      const metadata = "providerMetadata" in part ? part.providerMetadata : undefined;
      if (part.type === "text") {
        text.push(part.text);
        if (metadata) rest.push(textItem({ text: part.text, metadata }));
      } else if (part.type === "reasoning") {
        if (part.text) reasoning.push(part.text);
        rest.push(reasoningItem({ text: part.text, metadata }));
      } else if (part.type === "tool-call") {
        rest.push(...toolCallEvents(part));
      }
    }
    const finish = this.#finish(usage, finishReason);
    const events: ModelEvent[] = [];
    if (reasoning.length > 0) events.push({ type: "reasoning", delta: reasoning.join("\n\n") });
    const answer = text.join("");
    if (answer) events.push({ type: "text", delta: answer });
    return [...events, ...rest, finish];
  }

  #begin(type: "text-start" | "reasoning-start", id: string, metadata: Metadata): ModelEvent[] {
    this.#blocks.set(id, { text: "", metadata });
    if (type === "text-start") return [];
    // Each part of a reasoning is a paragraph of its own.
    const isNext = this.#reasoned;
    this.#reasoned = true;
    return isNext ? [{ type: "reasoning", delta: "\n\n" }] : [];
  }

  #grow(id: string, delta: string, metadata: Metadata): Block {
    let block = this.#blocks.get(id);
    if (!block) {
      block = { text: "", metadata: undefined };
      this.#blocks.set(id, block);
    }
    block.text += delta;
    if (metadata) block.metadata = { ...block.metadata, ...metadata };
    return block;
  }

  #end(id: string, metadata: Metadata): Block {
    const block = this.#grow(id, "", metadata);
    this.#blocks.delete(id);
    return block;
  }

  #finish(usage: Usage, finishReason: FinishReason): ModelEvent {
    const reason = typeof finishReason === "string" ? finishReason : finishReason.unified;
    if (reason === "error" || reason === "interrupted")
      throw new ModelError(`${this.#provider} broke off its answer.`, { retryable: true });
    this.finished = true;
    return {
      type: "finish",
      usage: tokenUsage(usage),
      finishReason: reason === "unknown" ? "other" : reason,
      ...(this.#callsBegun.size > 0 && { lostCall: true }),
    };
  }
}

function textItem({ text, metadata }: Block): ModelEvent {
  return replay({ type: "text", length: text.length, ...(metadata && { providerOptions: metadata }) });
}

function reasoningItem({ text, metadata }: Block): ModelEvent {
  return replay({ type: "reasoning", text, ...(metadata && { providerOptions: metadata }) });
}

function toolCallEvents(call: ToolCall): ModelEvent[] {
  // The provider runs these itself; their results are in its answer.
  if (call.providerExecuted) return [];
  const { toolCallId, toolName, input, providerMetadata } = call;
  const events: ModelEvent[] = [
    { type: "tool-call", id: toolCallId, callId: toolCallId, name: toolName, arguments: input || "{}" },
  ];
  if (providerMetadata)
    events.push(replay({ type: "tool-call", toolCallId, providerOptions: providerMetadata }));
  return events;
}

function replay(item: ReplayItem): ModelEvent {
  return { type: "provider-item", item };
}

/** `v2` counts flat, the later ones by kind. */
function tokenUsage(usage: Usage): TokenUsage {
  const { inputTokens, outputTokens } = usage;
  const input = (typeof inputTokens === "object" ? inputTokens.total : inputTokens) ?? 0;
  const output = (typeof outputTokens === "object" ? outputTokens.total : outputTokens) ?? 0;
  const flat = "totalTokens" in usage ? usage : undefined;
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: flat?.totalTokens ?? input + output,
    reasoning_tokens:
      (typeof outputTokens === "object" ? outputTokens.reasoning : flat?.reasoningTokens) ?? 0,
    cache_read_tokens:
      (typeof inputTokens === "object" ? inputTokens.cacheRead : flat?.cachedInputTokens) ?? 0,
    cache_write_tokens: (typeof inputTokens === "object" ? inputTokens.cacheWrite : undefined) ?? 0,
  };
}
