import { createOpenAI } from "@ai-sdk/openai";
import type { LanguageModelV4 } from "@ai-sdk/provider";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { fromAiSdk, isAiSdkModel } from "../../src/models/ai-sdk.ts";
import { OpenAIResponses } from "../../src/models/openai-responses.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
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

let mock: MockModel;

beforeAll(async () => {
  mock = await startMockModel();
});
afterAll(() => mock.close());

function openai(api: "responses" | "chat") {
  const provider = createOpenAI({ baseURL: mock.url, apiKey: "sk-test-0123456789" });
  return fromAiSdk(provider[api]("gpt-5.5"));
}

describe.each(["responses", "chat"] as const)("a model of @ai-sdk/openai (%s)", (api) => {
  test("has the names of what it adapts", () => {
    expect(openai(api)).toMatchObject({ id: "gpt-5.5", provider: `openai.${api}`, name: "AiSdkModel" });
  });

  test("answers piece by piece", async () => {
    const events = await collect(openai(api).generate(turn("[[tokens=3]]")));
    expect(only(events, "text").map((event) => event.delta)).toEqual(["word0 ", "word1 ", "word2 "]);
    expect(events.at(-1)).toMatchObject({
      type: "finish",
      finishReason: "stop",
      usage: { input_tokens: 1, output_tokens: 3, total_tokens: 4 },
    });
  });

  test("answers in one piece where nobody streams", async () => {
    const events = await collect(openai(api).generate(turn("[[tokens=3]]", { stream: false })));
    expect(only(events, "text").map((event) => event.delta)).toEqual(["word0 word1 word2 "]);
    expect(events.at(-1)).toMatchObject({ type: "finish", usage: { output_tokens: 3 } });
  });

  test.each([true, false])("calls tools and goes on with their results (stream: %s)", async (stream) => {
    const ask = message("user", '[[tool=add {"a":1}]] [[tool=now]]');
    const tools = ["add", "now"].map((name) => ({
      name,
      description: name,
      parameters: { type: "object", properties: {} },
    }));
    const first = await collect(openai(api).generate(turn("", { messages: [ask], tools, stream })));
    const calls = only(first, "tool-call");
    expect(calls.map((call) => [call.name, call.arguments])).toEqual([
      ["add", '{"a":1}'],
      ["now", "{}"],
    ]);
    expect(first.at(-1)).toMatchObject({ finishReason: "tool-calls" });

    const results = calls.map((call, index) =>
      message("tool", `result ${index}`, { tool_call_id: call.callId, tool_name: call.name }),
    );
    const messages = [ask, remembered(first), ...results];
    const second = await collect(openai(api).generate(turn("", { messages, tools, stream })));
    expect(textOf(second)).toBe("Tool said: result 0 | result 1");
  });

  test("is told the output schema and the files", async () => {
    const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"] };
    const bytes = Buffer.from("abc");
    const messages = [
      message("system", "Be brief."),
      message("user", "Look", {
        attachments: [
          { kind: "image", filename: "a.png", mime_type: "image/png", bytes },
          { kind: "file", filename: "a.pdf", mime_type: "application/pdf", bytes },
        ],
      }),
    ];
    await collect(openai(api).generate(turn("", { messages, output: { name: "thing", schema } })));
    const sent = JSON.stringify(mock.requests.at(-1)?.body);
    expect(sent).toContain("Be brief.");
    expect(sent).toContain('"json_schema"');
    expect(sent).toContain('"thing"');
    expect(sent).toContain("data:image/png;base64,YWJj");
    expect(sent).toContain("data:application/pdf;base64,YWJj");
  });

  test.each([
    [429, true],
    [503, true],
    [400, false],
    [401, false],
  ])("tells of status %i whether to try again", async (status, retryable) => {
    const error = await failureOf(openai(api).generate(turn(`[[error=${status}]] [[after=3]]`)));
    expect(error).toMatchObject({ providerStatus: status, retryable, retryAfter: 3 });
    expect(error.message).toContain(`openai.${api} answered ${status}: mock error ${status}.`);
  });

  test("tells of an empty account that it is final", async () => {
    const error = await failureOf(openai(api).generate(turn("[[error=429]] [[code=insufficient_quota]]")));
    expect(error.retryable).toBe(false);
  });

  test("tells of a lost connection", async () => {
    const error = await failureOf(openai(api).generate(turn("[[tokens=9]] [[delay=1]] [[drop=3]]")));
    expect(error).toMatchObject({
      retryable: true,
      message: expect.stringMatching(/connection to .* was lost/),
    });
  });

  test.each([true, false])(
    "ends at once, with the reason, when nobody waits (stream: %s)",
    async (stream) => {
      const controller = new AbortController();
      const reason = new Error("enough");
      const asked = mock.requests.length;
      const reading = collect(
        openai(api).generate(turn("[[ttft=60000]]", { stream, signal: controller.signal })),
      );
      await vi.waitUntil(() => mock.requests.length > asked);
      controller.abort(reason);
      await expect(reading).rejects.toBe(reason);
    },
  );
});

test.each([true, false])("reasoning goes back to the provider that made it (stream: %s)", async (stream) => {
  const ask = message("user", "[[reason=Let me see.]] [[tool=now]]");
  const model = openai("responses");
  const first = await collect(model.generate(turn("", { messages: [ask], stream })));
  expect(reasoningOf(first)).toBe("Let me see.");
  const [call] = only(first, "tool-call");
  const result = message("tool", "noon", { tool_call_id: call!.callId, tool_name: "now" });
  const history = JSON.parse(JSON.stringify([ask, remembered(first), result]));
  await collect(model.generate(turn("", { messages: history, stream })));
  const sent: { type?: string; id?: string }[] = mock.requests.at(-1)?.body.input;
  expect(sent.some(({ id }) => id?.startsWith("rs_"))).toBe(true);
});

test("a conversation may change its model", async () => {
  const ask = message("user", "[[reason=Let me see.]] [[say=Yes]]");
  const lean = new OpenAIResponses({ apiKey: "test", baseUrl: mock.url });
  const again = message("user", "[[say=And again]]");
  for (const [from, to] of [
    [lean, openai("responses")],
    [openai("responses"), lean],
  ] as const) {
    const first = await collect(from.generate(turn("", { messages: [ask] })));
    const next = turn("", { messages: [ask, remembered(first), again] });
    expect(textOf(await collect(to.generate(next)))).toBe("And again");
    const { input } = mock.requests.at(-1)!.body;
    expect(input.map((item: { role?: string }) => item.role)).toEqual(["user", "assistant", "user"]);
  }
});

test("a provider that does not listen is not waited for", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const deaf: LanguageModelV4 = {
    specificationVersion: "v4",
    provider: "deaf",
    modelId: "four",
    supportedUrls: {},
    doGenerate: () => new Promise(() => {}),
    doStream: async () => ({
      stream: new ReadableStream({
        start: (stream) => {
          stream.enqueue({ type: "text-start", id: "1" });
          stream.enqueue({ type: "text-delta", id: "1", delta: "Hello" });
        },
        cancel: (reason) => cancelled.resolve(reason),
      }),
    }),
  };
  const model = fromAiSdk(deaf);
  const reason = new Error("enough");

  const first = new AbortController();
  const events = model.generate(turn("Hi", { signal: first.signal }))[Symbol.asyncIterator]();
  expect((await events.next()).value).toEqual({ type: "text", delta: "Hello" });
  const next = events.next();
  first.abort(reason);
  await expect(next).rejects.toBe(reason);
  expect(await cancelled.promise).toBe(reason);

  const second = new AbortController();
  const whole = collect(model.generate(turn("Hi", { stream: false, signal: second.signal })));
  second.abort(reason);
  await expect(whole).rejects.toBe(reason);
});

test("a model of the AI SDK is told from other things", () => {
  expect(isAiSdkModel(createOpenAI({ apiKey: "test" })("gpt-5.5"))).toBe(true);
  expect(isAiSdkModel(new OpenAIResponses({ apiKey: "test" }))).toBe(false);
  for (const other of [undefined, null, "openai/gpt-5.5", {}, { specificationVersion: "v1", modelId: "x" }])
    expect(isAiSdkModel(other)).toBe(false);
});
