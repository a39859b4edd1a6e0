import type { JsonObject } from "../events/json.ts";
import type { FinishReason, Message } from "../events/messages.ts";
import type { TokenUsage } from "../events/metrics.ts";

/** A file that goes to the model with a user message. */
export interface Attachment {
  kind: "image" | "audio" | "file";
  filename: string;
  mime_type: string;
  bytes: Uint8Array;
}

/** A message as a model gets it: as it is stored, with the bytes of its files. */
export interface ModelMessage extends Message {
  attachments?: readonly Attachment[];
}

/** A tool as a model is told of it. */
export interface ToolDefinition {
  name: string;
  description: string;
  /** JSON schema of the arguments; its root is an object. */
  parameters: JsonObject;
}

/** The shape that an answer must have. */
export interface OutputFormat {
  /** The schema's title, or `output`. */
  name: string;
  /** JSON schema whose root is an object. */
  schema: JsonObject;
}

/** One turn that is asked of a model. */
export interface ModelRequest {
  /** The system prompt, then the history, then the message and what followed it. */
  messages: readonly ModelMessage[];
  tools: readonly ToolDefinition[];
  output?: OutputFormat;
  /** Whether text should come in pieces as the model makes it. Without, one piece is enough, and cheaper. */
  stream: boolean;
  /** Aborted when nobody wants the answer any more. The model must end at once. */
  signal: AbortSignal;
}

/** What a model says in a turn, piece by piece. */
export type ModelEvent =
  | { type: "text"; delta: string }
  | { type: "reasoning"; delta: string }
  | { type: "tool-call"; id: string; callId: string; name: string /** JSON text. */; arguments: string }
  /** Something that the provider wants back with the next request, unread. */
  | { type: "provider-item"; item: JsonObject }
  /** The last event of a turn. */
  | {
      type: "finish";
      usage: TokenUsage;
      finishReason: FinishReason;
      /** Whether the turn ended in the middle of a tool call, which was left out. */
      lostCall?: boolean;
    };

/**
 * What an agent needs of a language model. `OpenAIResponses` is one; any model of the Vercel AI SDK becomes one by itself.
 */
export interface Model {
  /** The provider's name for the model, such as `gpt-5.5`. */
  readonly id: string;
  /** Who runs it, such as `OpenAI`. */
  readonly provider: string;
  /** Which adapter this is, such as `OpenAIResponses`. */
  readonly name: string;
  /**
   * Asks for one turn.
   *
   * @returns the turn's events, one at a time or several that came together; the last is `finish`
   * @throws {ModelError} when the provider refuses or fails; `retryable` tells whether to try again
   */
  generate(request: ModelRequest): AsyncIterable<ModelEvent | readonly ModelEvent[]>;
  /** Lets go of what the model holds open, such as connections. Nothing is asked of it afterwards. */
  close?(): Promise<void>;
}
