import type { Logger } from "pino";
import type { MediaReference, Message } from "../events/messages.ts";
import type { LogIds } from "./log-ids.ts";

/** What a text of a trace is. */
export type ContentKind = "instructions" | "input" | "output" | "tool_arguments" | "tool_result" | "error";

/** Where a text of a trace comes from. */
export interface ContentSource {
  kind: ContentKind;
  runId: string;
  sessionId: string;
  agentId: string;
  userId?: string;
}

/** Says what of the contents is recorded. */
export interface ContentRules {
  /** Whether messages, tool arguments and results are recorded at all. */
  content: boolean;
  redact: ((text: string, source: ContentSource) => string) | undefined;
  logger: Logger;
}

/** Characters of one text that are recorded. */
const longestText = 32 * 1024;

/** Characters of messages in one attribute; the newest are kept. */
const longestAttribute = 128 * 1024;

type Part = Record<string, unknown>;

/** Turns what was said in a run into attributes of spans, as the rules allow. */
export class Content {
  readonly #rules: ContentRules;
  readonly #source: Omit<ContentSource, "kind">;
  readonly #logIds: LogIds;

  constructor(rules: ContentRules, source: Omit<ContentSource, "kind">, logIds: LogIds) {
    this.#rules = rules;
    this.#source = source;
    this.#logIds = logIds;
  }

  /** A text as it may be recorded; undefined where contents are left out. */
  text(kind: ContentKind, text: string): string | undefined {
    const { content, redact, logger } = this.#rules;
    if (!content) return undefined;
    if (!redact) return cut(text);
    try {
      // The whole text: a rule must see what stands across the cut.
      return cut(redact(text, { kind, ...this.#source }));
    } catch (error) {
      logger.warn({ err: error, ...this.#logIds, kind }, "redaction failed; the text is left out");
      return "[not recorded: its redaction failed]";
    }
  }

  /**
   * Messages as the conventions write them, the newest that fit.
   *
   * @see https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
   */
  messages(messages: readonly Message[], finishReason?: string): string | undefined {
    if (!this.#rules.content) return undefined;
    const written: string[] = [];
    let length = 0;
    for (let i = messages.length - 1; i >= 0; i--) {
      const message = { role: messages[i]!.role, parts: this.#parts(messages[i]!) };
      const text = JSON.stringify(
        finishReason === undefined ? message : { ...message, finish_reason: finishReason },
      );
      length += text.length;
      if (length > longestAttribute && written.length > 0) {
        written.push(`{"role":"system","parts":[{"type":"left_out","messages":${i + 1}}]}`);
        break;
      }
      written.push(text);
    }
    return `[${written.reverse().join(",")}]`;
  }

  #parts(message: Message): Part[] {
    const { role, content } = message;
    if (role === "tool") {
      return [
        {
          type: "tool_call_response",
          id: message.tool_call_id,
          response: this.text("tool_result", content ?? ""),
        },
      ];
    }
    const kind = role === "system" ? "instructions" : role === "user" ? "input" : "output";
    const parts: Part[] = content ? [{ type: "text", content: this.text(kind, content) }] : [];
    for (const call of message.tool_calls ?? []) {
      const args = this.text("tool_arguments", call.function.arguments);
      parts.push({ type: "tool_call", id: call.call_id, name: call.function.name, arguments: args });
    }
    for (const file of message.files ?? []) parts.push(this.#file(kind, file, "document"));
    for (const file of message.images ?? []) parts.push(this.#file(kind, file, "image"));
    for (const file of message.audio ?? []) parts.push(this.#file(kind, file, "audio"));
    return parts;
  }

  #file(kind: ContentKind, { mime_type, url }: MediaReference, modality: string): Part {
    return { type: "uri", modality, mime_type, uri: this.text(kind, url) };
  }
}

function cut(text: string): string {
  if (text.length <= longestText) return text;
  return `${text.slice(0, longestText)}… [${text.length - longestText} more characters are not recorded]`;
}
