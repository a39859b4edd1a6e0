import type { LanguageModelV2, LanguageModelV3, LanguageModelV4 } from "@ai-sdk/provider";
import { ModelError } from "../errors.ts";
import { aiSdkError } from "./ai-sdk-errors.ts";
import { legacyRequest, v4Request } from "./ai-sdk-prompt.ts";
import { type AiSdkPart, AiSdkReply, type AiSdkResult } from "./ai-sdk-reply.ts";
import type { Model, ModelEvent, ModelRequest } from "./model.ts";

/**
 * A language model of the Vercel AI SDK, as `openai("gpt-5.5")` or `anthropic("claude-sonnet-4-5")` make it:
 * of AI SDK 5 (`v2`), 6 (`v3`) or 7 (`v4`).
 */
export type AiSdkModel = LanguageModelV2 | LanguageModelV3 | LanguageModelV4;

const versions: readonly unknown[] = ["v2", "v3", "v4"];

/**
 * Whether a value is a language model of the Vercel AI SDK, of a version that `fromAiSdk` takes.
 *
 * @param value - anything
 */
export function isAiSdkModel(value: unknown): value is AiSdkModel {
  if (typeof value !== "object" || value === null) return false;
  const model = value as Partial<Record<keyof LanguageModelV4, unknown>>;
  return (
    versions.includes(model.specificationVersion) &&
    typeof model.modelId === "string" &&
    typeof model.provider === "string" &&
    typeof model.doGenerate === "function" &&
    typeof model.doStream === "function"
  );
}

/**
 * Makes a model of the Vercel AI SDK one that agents can use.
 * An agent does this by itself: `model: anthropic("claude-sonnet-4-5")` is enough.
 *
 * @param model - the AI SDK's model
 * @returns a model whose `generate` throws `ModelError` where the provider fails
 * @example
 * import { anthropic } from "@ai-sdk/anthropic";
 * const model = fromAiSdk(anthropic("claude-sonnet-4-5"));
 */
export function fromAiSdk(model: AiSdkModel): Model {
  return {
    id: model.modelId,
    provider: model.provider,
    name: "AiSdkModel",
    generate: (request) => (request.stream ? streamed(model, request) : whole(model, request)),
  };
}

async function* streamed(model: AiSdkModel, request: ModelRequest): AsyncGenerator<ModelEvent> {
  const { signal } = request;
  const parts = await ask(model, signal, () => openStream(model, request));
  const reader = parts.getReader();
  // A provider may not listen to the signal. Cancelling ends the read that is waited for.
  const cancel = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", cancel);
  const reply = new AiSdkReply(model.provider);
  try {
    let next = await reader.read();
    while (!next.done) {
      for (const event of reply.read(next.value)) {
        yield event;
        signal.throwIfAborted();
      }
      next = await reader.read();
    }
    signal.throwIfAborted();
    if (!reply.finished)
      throw new ModelError(`The connection to ${model.provider} was lost before the answer was complete.`, {
        retryable: true,
      });
  } catch (error) {
    throw signal.aborted ? signal.reason : aiSdkError(error, model.provider);
  } finally {
    signal.removeEventListener("abort", cancel);
    void reader.cancel().catch(() => {});
  }
}

async function* whole(model: AiSdkModel, request: ModelRequest): AsyncGenerator<ModelEvent> {
  const result = await ask(model, request.signal, () => generateWhole(model, request));
  yield* new AiSdkReply(model.provider).readWhole(result);
}

async function openStream(model: AiSdkModel, request: ModelRequest): Promise<ReadableStream<AiSdkPart>> {
  switch (model.specificationVersion) {
    case "v2":
      return (await model.doStream(legacyRequest(request))).stream;
    case "v3":
      return (await model.doStream(legacyRequest(request))).stream;
    case "v4":
      return (await model.doStream(v4Request(request))).stream;
  }
}

async function generateWhole(model: AiSdkModel, request: ModelRequest): Promise<AiSdkResult> {
  switch (model.specificationVersion) {
    case "v2":
      return await model.doGenerate(legacyRequest(request));
    case "v3":
      return await model.doGenerate(legacyRequest(request));
    case "v4":
      return await model.doGenerate(v4Request(request));
  }
}

/** Waits for the provider, but no longer than the signal allows. */
async function ask<T>(model: AiSdkModel, signal: AbortSignal, send: () => PromiseLike<T>): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([send(), aborted.promise]);
  } catch (error) {
    throw signal.aborted ? signal.reason : aiSdkError(error, model.provider);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
