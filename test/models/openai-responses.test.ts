import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ConfigurationError } from "../../src/errors.ts";
import type { ModelEvent } from "../../src/models/model.ts";
import { OpenAIResponses, type OpenAIResponsesOptions } from "../../src/models/openai-responses.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { collect, each, message, only, reasoningOf, textOf, turn } from "../support/model-turns.ts";

const apiKey = "sk-test-0123456789abcdef";
let mock: MockModel;

beforeAll(async () => {
  mock = await startMockModel();
});
afterAll(() => mock.close());
afterEach(() => vi.unstubAllEnvs());

function model(options: OpenAIResponsesOptions = {}): OpenAIResponses {
  return new OpenAIResponses({ apiKey, baseUrl: mock.url, ...options });
}

describe("an answer", () => {
  test("comes as the model makes it", async () => {
    const events = await collect(model().generate(turn("[[tokens=3]]")));
    expect(events).toEqual([
      { type: "text", delta: "word0 " },
      { type: "text", delta: "word1 " },
      { type: "text", delta: "word2 " },
      {
        type: "finish",
        finishReason: "stop",
        usage: expect.objectContaining({ input_tokens: 1, output_tokens: 3, total_tokens: 4 }),
      },
    ]);
  });

  test("comes in one piece where nobody streams", async () => {
    const events = await collect(model().generate(turn("[[tokens=3]]", { stream: false })));
    expect(events.map((event) => event.type)).toEqual(["text", "finish"]);
    expect(textOf(events)).toBe("word0 word1 word2 ");
    expect(mock.requests.at(-1)?.body.stream).toBe(false);
  });

  test.each([true, false])("keeps every character (stream: %s)", async (stream) => {
    const said = `${"zażółć 🦀 日本語 \u2028 ".repeat(2000)}end`;
    expect(textOf(await collect(model().generate(turn(`[[say=${said}]]`, { stream }))))).toBe(said);
  });

  test.each([true, false])("may be several tool calls at once (stream: %s)", async (stream) => {
    const events = await collect(
      model().generate(turn('[[tool=add {"a":[[1],[2]]}]] [[tool=now]]', { stream })),
    );
    const calls = only(events, "tool-call");
    expect(calls.map((call) => [call.name, call.arguments])).toEqual([
      ["add", '{"a":[[1],[2]]}'],
      ["now", "{}"],
    ]);
    expect(new Set(calls.flatMap((call) => [call.id, call.callId])).size).toBe(4);
    expect(events.at(-1)).toMatchObject({ type: "finish", finishReason: "tool-calls" });
  });

  test.each([true, false])("may begin with reasoning (stream: %s)", async (stream) => {
    const events = await collect(model().generate(turn("[[reason=Let me see.]] [[say=Yes]]", { stream })));
    expect(reasoningOf(events)).toBe("Let me see.");
    expect(textOf(events)).toBe("Yes");
    const [item] = only(events, "provider-item");
    expect(item?.item).toMatchObject({ type: "reasoning", encrypted_content: expect.any(String) });
    expect(only(events, "finish")[0]?.usage.reasoning_tokens).toBe(3);
  });
});

describe("what is sent", () => {
  async function sent(request: Partial<ReturnType<typeof turn>>, options: OpenAIResponsesOptions = {}) {
    await collect(model(options).generate(turn("Hi", request)));
    return mock.requests.at(-1)!.body;
  }

  test("is the whole conversation, in the API's terms", async () => {
    const call = { name: "add", arguments: '{"a":1}' };
    const reasoning = { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "x" };
    const foreign = { type: "reasoning", text: "of another provider" };
    const { input } = await sent({
      messages: [
        message("system", "Be brief."),
        message("user", "Add"),
        message("assistant", "I add.", {
          provider_items: [foreign, reasoning],
          tool_calls: [{ id: "fc_1", call_id: "call_1", type: "function", function: call }],
        }),
        message("tool", "1", { tool_call_id: "call_1", tool_name: "add" }),
        message("user", "Thanks"),
      ],
    });
    expect(input).toEqual([
      { role: "developer", content: "Be brief." },
      { role: "user", content: "Add" },
      reasoning,
      { role: "assistant", content: "I add." },
      { type: "function_call", call_id: "call_1", ...call },
      { type: "function_call_output", call_id: "call_1", output: "1" },
      { role: "user", content: "Thanks" },
    ]);
  });

  test("includes files", async () => {
    const bytes = Buffer.from("abc");
    const { input } = await sent({
      messages: [
        message("user", "Look", {
          attachments: [
            { kind: "image", filename: "a.png", mime_type: "image/png", bytes },
            { kind: "audio", filename: "a.mp3", mime_type: "audio/mpeg", bytes },
            { kind: "file", filename: "a.pdf", mime_type: "application/pdf", bytes },
          ],
        }),
      ],
    });
    expect(input[0].content).toEqual([
      { type: "input_text", text: "Look" },
      { type: "input_image", image_url: "data:image/png;base64,YWJj" },
      { type: "input_audio", input_audio: { data: "YWJj", format: "mp3" } },
      { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,YWJj" },
    ]);
  });

  test("includes tools and settings", async () => {
    const parameters = { type: "object", properties: {} };
    const body = await sent(
      { tools: [{ name: "now", description: "The time.", parameters }] },
      { id: "gpt-4.1", temperature: 0.2, maxOutputTokens: 50 },
    );
    expect(body).toMatchObject({
      model: "gpt-4.1",
      store: false,
      temperature: 0.2,
      max_output_tokens: 50,
      tools: [{ type: "function", name: "now", description: "The time.", parameters, strict: false }],
    });
  });

  const closed = { type: "object", additionalProperties: false };
  const text = { type: "string" };
  test.each([
    ["every property required", { ...closed, properties: { a: text }, required: ["a"] }, true],
    ["an optional property", { ...closed, properties: { a: text }, required: [] }, false],
    ["additional properties", { type: "object", properties: { a: text }, required: ["a"] }, false],
    [
      "an open object in a definition",
      { ...closed, properties: {}, $defs: { a: { type: "object" } } },
      false,
    ],
    [
      "an open object in an array",
      { ...closed, properties: { a: { type: "array", items: { type: "object" } } }, required: ["a"] },
      false,
    ],
    [
      "nested closed objects",
      {
        ...closed,
        properties: {
          a: { anyOf: [{ ...closed, properties: { b: text }, required: ["b"] }, { type: "null" }] },
        },
        required: ["a"],
      },
      true,
    ],
    [
      "a keyword that OpenAI lacks",
      { ...closed, properties: { a: { ...text, minLength: 1 } }, required: ["a"] },
      false,
    ],
  ])("asks for strict output only where OpenAI takes the schema: %s", async (_case, schema, strict) => {
    const { text: sentText } = await sent({ output: { name: "My schema!", schema } });
    expect(sentText.format).toEqual({ type: "json_schema", name: "My_schema_", schema, strict });
  });

  test.each([
    ["gpt-5.5", {}, true],
    ["openai/o4-mini", {}, true],
    ["gpt-4.1", {}, false],
    ["gpt-5-chat-latest", {}, false],
    ["my-model", { reasoning: { effort: "low" } }, true],
    ["gpt-5.5", { store: true }, false],
  ])("asks for encrypted reasoning where the model has some: %s %j", async (id, options, isAsked) => {
    const { include } = await sent({}, { id, ...options });
    expect(include).toEqual(isAsked ? ["reasoning.encrypted_content"] : undefined);
  });
});

describe("a turn that nobody wants any more", () => {
  test("ends at once, with the reason, while the answer comes", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const events = model().generate(turn("[[tokens=1000]] [[delay=20]]", { signal: controller.signal }));
    const got: ModelEvent[] = [];
    const reading = (async () => {
      for await (const event of each(events)) {
        got.push(event);
        controller.abort(reason);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    expect(got).toHaveLength(1);
  });

  test.each([true, false])("ends at once while nothing has come (stream: %s)", async (stream) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const asked = mock.requests.length;
    const reading = collect(model().generate(turn("[[ttft=60000]]", { stream, signal: controller.signal })));
    await vi.waitUntil(() => mock.requests.length > asked);
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });

  test("is not sent when it was given up before", async () => {
    const reason = new Error("enough");
    const asked = mock.requests.length;
    await expect(collect(model().generate(turn("Hi", { signal: AbortSignal.abort(reason) })))).rejects.toBe(
      reason,
    );
    expect(mock.requests).toHaveLength(asked);
  });

  test("leaves the model usable when its reader stops early", async () => {
    const one = model();
    for await (const event of each(one.generate(turn("[[tokens=1000]] [[delay=20]]")))) {
      expect(event.type).toBe("text");
      break;
    }
    expect(textOf(await collect(one.generate(turn("[[say=still here]]"))))).toBe("still here");
  });
});

describe("the options", () => {
  test("come from the environment", async () => {
    vi.stubEnv("OPENAI_API_KEY", apiKey);
    vi.stubEnv("OPENAI_BASE_URL", `${mock.url}/`);
    vi.stubEnv("OPENAI_MODEL", "gpt-from-env");
    const one = new OpenAIResponses();
    expect([one.id, one.provider, one.name]).toEqual(["gpt-from-env", "OpenAI", "OpenAIResponses"]);
    await collect(one.generate(turn("Hi")));
    expect(mock.requests.at(-1)).toMatchObject({
      route: "POST /v1/responses",
      body: { model: "gpt-from-env" },
    });
  });

  test("have a default model", () => {
    vi.stubEnv("OPENAI_MODEL", "");
    expect(model().id).toBe("gpt-5.5");
  });

  test("are refused in one line where they cannot work", () => {
    vi.stubEnv("OPENAI_API_KEY", "");
    const message = (options: OpenAIResponsesOptions): string => {
      try {
        new OpenAIResponses(options);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigurationError);
        return (error as Error).message;
      }
      return "";
    };
    expect(message({})).toMatch(/OPENAI_API_KEY/);
    expect(message({ apiKey, baseUrl: "api.openai.com" })).toMatch(/OPENAI_BASE_URL/);
    expect(message({ apiKey, baseUrl: "file:///v1" })).toMatch(/OPENAI_BASE_URL/);
    expect(message({ apiKey, timeout: 0 })).toMatch(/timeout/);
    expect(message({ apiKey: `${apiKey}\nx` })).not.toContain(apiKey);
  });

  test("do not show the key", () => {
    expect(JSON.stringify(model())).not.toContain(apiKey);
  });
});
