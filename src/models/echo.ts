import { setTimeout as sleep } from "node:timers/promises";
import type { TokenUsage } from "../events/metrics.ts";
import { refuseUnfit, refuseUnknown, type Shape, shapes } from "../options.ts";
import { exampleValue } from "./example-value.ts";
import type { Model, ModelEvent, ModelRequest } from "./model.ts";

/** Options of `EchoModel`. */
export interface EchoModelOptions {
  /** Milliseconds before each word of a streamed answer. @default 0 */
  delay?: number;
  /**
   * What to answer instead of the echo: a text, or the events of a turn, to which `finish` is added.
   * Makes the model a stand-in for tests.
   */
  respond?: (request: ModelRequest) => string | readonly ModelEvent[];
}

const wanted = {
  delay: shapes.notNegative,
  respond: shapes.function,
} satisfies Record<keyof EchoModelOptions, Shape>;

/**
 * A model that needs no network and no key: it says back what it was told, and that it does so.
 * Where the answer must have a shape, it fills that shape with the message.
 *
 * @example
 * const agent = new Agent({ id: "helper", model: new EchoModel() });
 * @example
 * const weather = new EchoModel({
 *   respond: ({ messages }) =>
 *     messages.at(-1)?.role === "tool"
 *       ? "It is sunny."
 *       : [{ type: "tool-call", id: "1", callId: "1", name: "weather", arguments: '{"city":"Rome"}' }],
 * });
 */
export class EchoModel implements Model {
  readonly id = "offline-echo";
  readonly provider = "offline";
  readonly name = "EchoModel";
  readonly #delay: number;
  readonly #respond: (request: ModelRequest) => string | readonly ModelEvent[];

  /** @throws {ConfigurationError} that names the option that cannot work */
  constructor(options: EchoModelOptions = {}) {
    refuseUnknown("EchoModel", options, Object.keys(wanted));
    refuseUnfit("EchoModel", options, wanted);
    this.#delay = options.delay ?? 0;
    this.#respond = options.respond ?? echo;
  }

  /**
   * Answers one turn.
   *
   * @throws the reason of `request.signal`, once that is aborted
   */
  async *generate(request: ModelRequest): AsyncGenerator<ModelEvent> {
    request.signal.throwIfAborted();
    const answer = this.#respond(request);
    const events = typeof answer === "string" ? texts(answer, request.stream) : answer;
    let said = "";
    let finishReason: "stop" | "tool-calls" = "stop";
    for (const event of events) {
      if (this.#delay > 0 && request.stream) await pause(this.#delay, request.signal);
      request.signal.throwIfAborted();
      yield event;
      if (event.type === "finish") return;
      if (event.type === "text") said += event.delta;
      if (event.type === "tool-call") finishReason = "tool-calls";
    }
    yield { type: "finish", usage: usageOf(request, said), finishReason };
  }
}

function echo({ messages, output }: ModelRequest): string {
  const said = messages.findLast((message) => message.role === "user")?.content ?? "";
  const answer = `[offline echo model: set OPENAI_API_KEY for a real one] You said: ${said}`;
  return output ? JSON.stringify(exampleValue(output.schema, answer)) : answer;
}

function texts(answer: string, stream: boolean): ModelEvent[] {
  const pieces = stream ? answer.split(/(?<=\s)(?=\S)/) : [answer];
  return pieces.filter((delta) => delta !== "").map((delta) => ({ type: "text", delta }));
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  // The timer rejects with an error of its own; callers are promised the signal's reason.
  await sleep(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/** There are no tokens here: words are what comes closest. */
function usageOf({ messages }: ModelRequest, said: string): TokenUsage {
  const input = messages.reduce((sum, message) => sum + words(message.content ?? ""), 0);
  const output = words(said);
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: input + output,
    reasoning_tokens: 0,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
  };
}

function words(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}
