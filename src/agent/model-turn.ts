import { setTimeout as wait } from "node:timers/promises";
import { ModelError } from "../errors.ts";
import type { JsonObject } from "../events/json.ts";
import type { FinishReason, Message, MessageToolCall } from "../events/messages.ts";
import { noTokens, type TokenUsage } from "../events/metrics.ts";
import type { RunEventBody } from "../events/run-events.ts";
import type { ModelEvent, ModelMessage, ModelRequest, ToolDefinition } from "../models/model.ts";
import type { AgentDefinition } from "./definition.ts";
import type { TurnEnd } from "./finish.ts";
import type { LoopContext } from "./loop-context.ts";
import { newMessage } from "./prompt.ts";

/** What one turn of the model came to. */
interface Turn extends TurnEnd {
  message: Message;
}

/** The longest that a provider's `Retry-After` is followed, in seconds. */
const longestRetryAfter = 60;

/**
 * One turn of the model, with its events. Without `stream`, its text comes as one event.
 *
 * @param callIds - the ids of the run's tool calls so far; those of this turn are added
 */
export async function* modelTurn(
  context: LoopContext,
  messages: readonly ModelMessage[],
  tools: readonly ToolDefinition[],
  callIds: Set<string>,
): AsyncGenerator<RunEventBody | readonly RunEventBody[], Turn, void> {
  const { agent, stream } = context;
  const identity = { model: agent.model.id, model_provider: agent.model.provider };
  const request: ModelRequest = {
    messages,
    tools,
    stream,
    signal: context.signal,
    ...(context.output && { output: { name: context.output.name, schema: context.output.schema } }),
  };
  yield { event: "ModelRequestStarted", ...identity };
  context.observer?.modelRequested(messages, stream);

  const start = performance.now();
  let firstToken: number | undefined;
  let text = "";
  const reasoning = new Reasoning(stream);
  let usage: TokenUsage = noTokens();
  let finishReason: FinishReason = "other";
  let lostCall = false;
  const calls: MessageToolCall[] = [];
  const items: JsonObject[] = [];

  for await (const given of withRetries(context, request)) {
    const heard: RunEventBody[] = [];
    for (const event of Array.isArray(given) ? (given as readonly ModelEvent[]) : [given as ModelEvent]) {
      if (event.type !== "finish") firstToken ??= performance.now();
      if (event.type === "text" || event.type === "tool-call") heard.push(...reasoning.end());
      switch (event.type) {
        case "text":
          text += event.delta;
          if (stream && event.delta !== "") {
            heard.push({ event: "RunContent", content: event.delta, content_type: "str" });
          }
          break;
        case "reasoning":
          heard.push(...reasoning.add(event.delta));
          break;
        case "tool-call":
          calls.push({
            id: unused(event.id, callIds),
            call_id: event.callId,
            type: "function",
            function: { name: event.name, arguments: event.arguments },
          });
          break;
        case "provider-item":
          items.push(event.item);
          break;
        case "finish":
          usage = event.usage;
          finishReason = event.finishReason;
          lostCall = event.lostCall === true;
          break;
        default:
          event satisfies never;
      }
    }
    if (heard.length > 0) yield heard;
  }

  const rest = reasoning.end();
  if (!stream && text !== "") rest.push({ event: "RunContent", content: text, content_type: "str" });
  const timeToFirstToken =
    firstToken === undefined ? {} : { time_to_first_token: (firstToken - start) / 1000 };
  const finish = { finish_reason: finishReason };
  rest.push({ event: "ModelRequestCompleted", ...identity, ...usage, ...timeToFirstToken, ...finish });
  yield rest;
  const message = newMessage("assistant", {
    ...(text === "" ? {} : { content: text }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...(items.length === 0 ? {} : { provider_items: items }),
    ...finish,
    metrics: {
      input_tokens: usage.input_tokens,
      output_tokens: usage.output_tokens,
      total_tokens: usage.total_tokens,
      duration: (performance.now() - start) / 1000,
      ...timeToFirstToken,
    },
  });
  context.observer?.modelAnswered(message, usage);
  return { text, message, calls, finishReason, lostCall };
}

/** An id that no other call of the run has. Some providers count their calls from the start in every turn. */
function unused(id: string, taken: Set<string>): string {
  let free = id;
  for (let i = 2; taken.has(free); i++) free = `${id}-${i}`;
  taken.add(free);
  return free;
}

/** What the model shows of its reasoning, a stretch at a time: each ends where something else comes. */
class Reasoning {
  readonly #stream: boolean;
  #text = "";

  constructor(stream: boolean) {
    this.#stream = stream;
  }

  add(delta: string): RunEventBody[] {
    const isFirst = this.#text === "";
    this.#text += delta;
    return [
      ...(isFirst ? [{ event: "ReasoningStarted" } as const] : []),
      ...(this.#stream ? [{ event: "ReasoningContentDelta", reasoning_content: delta } as const] : []),
    ];
  }

  end(): RunEventBody[] {
    const text = this.#text;
    if (text === "") return [];
    this.#text = "";
    return [
      ...(this.#stream ? [] : [{ event: "ReasoningContentDelta", reasoning_content: text } as const]),
      { event: "ReasoningCompleted", reasoning_content: text },
    ];
  }
}

/** Asks again after a failure that may pass, as long as nothing of the turn was heard. */
async function* withRetries(
  { agent, signal, observer }: LoopContext,
  request: ModelRequest,
): AsyncGenerator<ModelEvent | readonly ModelEvent[]> {
  for (let attempt = 0; ; attempt++) {
    let heard = false;
    try {
      for await (const event of withinLimit(agent, request)) {
        heard = true;
        yield event;
      }
      return;
    } catch (error) {
      if (heard || !(error instanceof ModelError) || !error.retryable || attempt >= agent.retries)
        throw error;
      // Half of the wait is random, so that many runs that failed together do not come back together.
      const backoff = agent.retryDelay * 2 ** attempt * (0.5 + Math.random() / 2);
      const seconds = Math.max(backoff, Math.min(error.retryAfter ?? 0, longestRetryAfter));
      observer?.modelRetried(error, seconds);
      await wait(seconds * 1000, undefined, { signal });
    }
  }
}

/**
 * One call of the model, which ends as a failure that may pass where it takes longer than it may. A model that does not
 * listen to the signal is left behind.
 */
async function* withinLimit(
  { model, modelTimeLimit }: AgentDefinition,
  request: ModelRequest,
): AsyncGenerator<ModelEvent | readonly ModelEvent[]> {
  const limit = new AbortController();
  const signal = AbortSignal.any([request.signal, limit.signal]);
  const events = model.generate({ ...request, signal })[Symbol.asyncIterator]();
  let giveUp: (reason: unknown) => void = () => undefined;
  const timer = setTimeout(() => {
    const late = new ModelError(`The model took longer than its limit of ${modelTimeLimit} s.`, {
      retryable: true,
    });
    limit.abort(late);
    giveUp(late);
  }, modelTimeLimit * 1000);
  try {
    while (true) {
      const { done, value } = await new Promise<Awaited<ReturnType<typeof events.next>>>(
        (resolve, reject) => {
          giveUp = reject;
          if (limit.signal.aborted) reject(limit.signal.reason);
          else events.next().then(resolve, reject);
        },
      );
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    // Not awaited: a model that never answers would hold the run back.
    events.return?.().catch(() => undefined);
  }
}
