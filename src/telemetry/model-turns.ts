import { type Attributes, type Context, type Span, SpanKind } from "@opentelemetry/api";
import type { Message } from "../events/messages.ts";
import type { TokenUsage } from "../events/metrics.ts";
import { attributes as a, operations } from "./attributes.ts";
import { type SpanMaker, typeOf } from "./span-maker.ts";

/** A model as telemetry names it. */
export interface NamedModel {
  id: string;
  provider: string;
}

/** The turn that is under way. */
interface Turn {
  span: Span;
  messages: readonly Message[];
  /** How many of them were sent: the list grows. */
  count: number;
}

/** The spans of a model's turns, one after another: those of a run, or of work that follows it. */
export class ModelTurns {
  readonly #make: SpanMaker;
  readonly #model: NamedModel;
  readonly #parent: Context;
  #turn: Turn | undefined;

  constructor(make: SpanMaker, model: NamedModel, parent: Context) {
    this.#make = make;
    this.#model = model;
    this.#parent = parent;
  }

  /** A turn begins. */
  modelRequested(messages: readonly Message[], stream: boolean): void {
    const { id, provider } = this.#model;
    const known = {
      [a.operation]: operations.chat,
      [a.provider]: provider,
      [a.requestModel]: id,
      [a.requestStream]: stream,
    };
    const span = this.#make.start(`${operations.chat} ${id}`, SpanKind.CLIENT, known, this.#parent);
    this.#turn = { span, messages, count: messages.length };
  }

  /** The model is asked again after a failure. */
  modelRetried(error: Error, seconds: number): void {
    const message = this.#make.content.text("error", error.message);
    const known = { [a.errorType]: typeOf(error), wait_seconds: seconds };
    const time = this.#make.time();
    this.#turn?.span.addEvent("retry", message === undefined ? known : { ...known, message }, time);
  }

  /** A turn has ended. */
  modelAnswered(message: Message, usage: TokenUsage, cost: number | null): void {
    if (!this.#turn) return;
    const { span } = this.#turn;
    const timeToFirst = message.metrics?.time_to_first_token;
    span.setAttributes({
      ...usageOf(usage),
      [a.finishReasons]: [message.finish_reason ?? "other"],
      ...(timeToFirst !== undefined && { [a.timeToFirstChunk]: timeToFirst }),
      ...(cost !== null && { [a.cost]: cost }),
    });
    const said = this.#make.content.messages([message], message.finish_reason);
    if (said !== undefined) span.setAttribute(a.outputMessages, said);
    this.end();
  }

  /** Ends the turn that is under way, if there is one. @param failure - why it has no answer, where that is known */
  end(failure?: { type: string; reason: string }): void {
    if (!this.#turn) return;
    const { span, messages, count } = this.#turn;
    this.#turn = undefined;
    if (failure) this.#make.fail(span, failure.type, failure.reason);
    const asked = this.#make.content.messages(messages.slice(0, count));
    if (asked !== undefined) span.setAttribute(a.inputMessages, asked);
    span.end(this.#make.time());
  }
}

/** Tokens as attributes. */
export function usageOf(usage: TokenUsage): Attributes {
  return {
    [a.inputTokens]: usage.input_tokens,
    [a.outputTokens]: usage.output_tokens,
    ...(usage.cache_read_tokens > 0 && { [a.cacheReadTokens]: usage.cache_read_tokens }),
    ...(usage.cache_write_tokens > 0 && { [a.cacheWriteTokens]: usage.cache_write_tokens }),
    ...(usage.reasoning_tokens > 0 && { [a.reasoningTokens]: usage.reasoning_tokens }),
  };
}
