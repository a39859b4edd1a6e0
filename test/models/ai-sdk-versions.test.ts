import type { LanguageModelV2, LanguageModelV3 } from "@ai-sdk/provider";
import { describe, expect, test } from "vitest";
import { fromAiSdk } from "../../src/models/ai-sdk.ts";
import {
  collect,
  failureOf,
  message,
  only,
  reasoningOf,
  remembered,
  textOf,
  turn,
} from "../support/model-turns.ts";

function streamOf<T>(parts: readonly T[]): ReadableStream<T> {
  return new ReadableStream({
    start: (stream) => {
      for (const part of parts) stream.enqueue(part);
      stream.close();
    },
  });
}

describe("the older shapes", () => {
  const nested = {
    inputTokens: { total: 7, noCache: 4, cacheRead: 2, cacheWrite: 1 },
    outputTokens: { total: 5, text: 2, reasoning: 3 },
  };
  const flat = { inputTokens: 7, outputTokens: 5, totalTokens: 13, reasoningTokens: 3, cachedInputTokens: 2 };
  const parts = [
    { type: "reasoning-start", id: "r" },
    { type: "reasoning-delta", id: "r", delta: "Hmm" },
    { type: "reasoning-end", id: "r", providerMetadata: { anthropic: { signature: "s" } } },
    { type: "text-start", id: "t" },
    { type: "text-delta", id: "t", delta: "Hel" },
    { type: "text-delta", id: "t", delta: "lo" },
    { type: "text-end", id: "t" },
    {
      type: "tool-call",
      toolCallId: "c1",
      toolName: "now",
      input: "{}",
      providerMetadata: { google: { thoughtSignature: "g" } },
    },
    { type: "tool-call", toolCallId: "c2", toolName: "search", input: "{}", providerExecuted: true },
  ] as const;
  const content = [
    { type: "reasoning", text: "Hmm", providerMetadata: { anthropic: { signature: "s" } } },
    { type: "text", text: "Hello" },
    parts[7],
    parts[8],
  ] as const;

  function v2(options: { fail?: unknown } = {}) {
    const prompts: unknown[] = [];
    const model: LanguageModelV2 = {
      specificationVersion: "v2",
      provider: "old",
      modelId: "two",
      supportedUrls: {},
      doGenerate: async ({ prompt }) => {
        prompts.push(prompt);
        return { content: [...content], finishReason: "tool-calls", usage: flat, warnings: [] };
      },
      doStream: async ({ prompt }) => {
        prompts.push(prompt);
        const end = options.fail
          ? ({ type: "error", error: options.fail } as const)
          : ({ type: "finish", finishReason: "tool-calls", usage: flat } as const);
        return { stream: streamOf([...parts, end]) };
      },
    };
    return { model: fromAiSdk(model), prompts };
  }

  function v3() {
    const prompts: unknown[] = [];
    const finishReason = { unified: "tool-calls", raw: "tool_use" } as const;
    const model: LanguageModelV3 = {
      specificationVersion: "v3",
      provider: "old",
      modelId: "three",
      supportedUrls: {},
      doGenerate: async ({ prompt }) => {
        prompts.push(prompt);
        return { content: [...content], finishReason, usage: nested, warnings: [] };
      },
      doStream: async ({ prompt }) => {
        prompts.push(prompt);
        return {
          stream: streamOf([...parts, { type: "finish", finishReason, usage: nested } as const]),
        };
      },
    };
    return { model: fromAiSdk(model), prompts };
  }

  const usage = {
    input_tokens: 7,
    output_tokens: 5,
    reasoning_tokens: 3,
    cache_read_tokens: 2,
  };
  test.each([
    ["v2", v2, true, { ...usage, total_tokens: 13, cache_write_tokens: 0 }],
    ["v2", v2, false, { ...usage, total_tokens: 13, cache_write_tokens: 0 }],
    ["v3", v3, true, { ...usage, total_tokens: 12, cache_write_tokens: 1 }],
    ["v3", v3, false, { ...usage, total_tokens: 12, cache_write_tokens: 1 }],
  ])("%s is read and asked in its own terms (stream: %3$s)", async (_version, make, stream, expected) => {
    const { model, prompts } = make();
    const events = await collect(model.generate(turn("Hi", { stream })));
    expect(reasoningOf(events)).toBe("Hmm");
    expect(textOf(events)).toBe("Hello");
    expect(only(events, "tool-call").map((call) => call.name)).toEqual(["now"]);
    expect(only(events, "finish")).toEqual([{ type: "finish", finishReason: "tool-calls", usage: expected }]);

    const bytes = Buffer.from("abc");
    const messages = [
      message("system", "Be brief."),
      message("user", "", {
        attachments: [{ kind: "image", filename: "a.png", mime_type: "image/png", bytes }],
      }),
      remembered(events),
      message("tool", "noon", { tool_call_id: "c1", tool_name: "now" }),
      message("tool", "no such tool", { tool_call_id: "c3", tool_name: "then", tool_call_error: true }),
    ];
    await collect(model.generate(turn("", { messages, stream })));
    expect(prompts.at(-1)).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: [{ type: "file", filename: "a.png", mediaType: "image/png", data: bytes }] },
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "Hmm", providerOptions: { anthropic: { signature: "s" } } },
          { type: "text", text: "Hello" },
          {
            type: "tool-call",
            toolCallId: "c1",
            toolName: "now",
            input: {},
            providerOptions: { google: { thoughtSignature: "g" } },
          },
        ],
      },
      {
        role: "tool",
        content: [
          { type: "tool-result", toolCallId: "c1", toolName: "now", output: { type: "text", value: "noon" } },
          {
            type: "tool-result",
            toolCallId: "c3",
            toolName: "then",
            output: { type: "error-text", value: "no such tool" },
          },
        ],
      },
    ]);
  });

  test("a tool call that was cut off is told", async () => {
    const model: LanguageModelV3 = {
      specificationVersion: "v3",
      provider: "old",
      modelId: "three",
      supportedUrls: {},
      doGenerate: () => Promise.reject(new Error("unused")),
      doStream: async () => ({
        stream: streamOf([
          { type: "tool-input-start", id: "c1", toolName: "now" } as const,
          { type: "tool-input-delta", id: "c1", delta: '{"a' } as const,
          { type: "finish", finishReason: { unified: "length", raw: "length" }, usage: nested } as const,
        ]),
      }),
    };
    const events = await collect(fromAiSdk(model).generate(turn("Hi")));
    expect(events).toEqual([
      expect.objectContaining({ type: "finish", finishReason: "length", lostCall: true }),
    ]);
  });

  test("an error in the stream ends the turn with what the provider said", async () => {
    const { model } = v2({ fail: { type: "overloaded_error", message: "Overloaded" } });
    expect((await failureOf(model.generate(turn("Hi")))).message).toBe("old could not answer: Overloaded.");
  });
});
