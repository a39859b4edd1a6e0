import { describe, expect, test } from "vitest";
import { collect, failureOf, only, reasoningOf, textOf, turn } from "../support/model-turns.ts";
import { scriptedModel, sendEvents, sendJson } from "../support/scripted-provider.ts";

const completed = { type: "response.completed", response: { status: "completed", usage: null } };
const delta = (text: string) => ({ type: "response.output_text.delta", delta: text });

describe("an answer", () => {
  const streamOf = async (...events: { type: string }[]) =>
    (await scriptedModel((_request, response) => sendEvents(response, events))).model.generate(turn("Hi"));

  test("that fails says why", async () => {
    const failed = (code: string) => ({
      type: "response.failed",
      response: { status: "failed", error: { code, message: "Not today" } },
    });
    expect(await failureOf(await streamOf(failed("server_error")))).toMatchObject({
      message: "OpenAI could not answer: Not today.",
      retryable: true,
    });
    expect((await failureOf(await streamOf(failed("invalid_prompt")))).retryable).toBe(false);
    const error = { type: "error", code: "rate_limit_exceeded", message: "Too fast." };
    expect(await failureOf(await streamOf(error))).toMatchObject({
      message: "OpenAI could not answer: Too fast.",
      retryable: true,
    });
  });

  test("that fails says why where nobody streams", async () => {
    const { model } = await scriptedModel((_request, response) =>
      sendJson(response, 200, { status: "failed", error: { code: "server_error", message: "Not today" } }),
    );
    expect(await failureOf(model.generate(turn("Hi", { stream: false })))).toMatchObject({ retryable: true });
  });

  test.each([
    ["max_output_tokens", "length"],
    ["content_filter", "content-filter"],
    ["something_new", "other"],
  ])("that stops for %s tells it, with its tokens", async (reason, finishReason) => {
    const usage = {
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 20,
      output_tokens_details: { reasoning_tokens: 5 },
      total_tokens: 30,
    };
    const call = { type: "function_call", status: "incomplete", name: "add", call_id: "1", arguments: '{"a' };
    const response = { status: "incomplete", incomplete_details: { reason }, usage };
    const events = await collect(
      await streamOf(
        { type: "response.output_item.done", item: call } as { type: string },
        { type: "response.incomplete", response } as { type: string },
      ),
    );
    expect(events).toEqual([
      {
        type: "finish",
        finishReason,
        lostCall: true,
        usage: {
          input_tokens: 10,
          output_tokens: 20,
          total_tokens: 30,
          reasoning_tokens: 5,
          cache_read_tokens: 4,
          cache_write_tokens: 0,
        },
      },
    ]);
  });

  test("that is a refusal is text", async () => {
    const refusal = { type: "response.refusal.delta", delta: "I will not." };
    expect(textOf(await collect(await streamOf(refusal, completed)))).toBe("I will not.");
  });

  test("keeps the parts of a reasoning apart", async () => {
    const thought = (summary_index: number, text: string) => ({
      type: "response.reasoning_summary_text.delta",
      output_index: 0,
      summary_index,
      delta: text,
    });
    const events = await collect(
      await streamOf(thought(0, "One"), thought(0, " and"), thought(1, "two"), completed),
    );
    expect(reasoningOf(events)).toBe("One and\n\ntwo");
  });

  test("gives back of a reasoning what the next request may hold", async () => {
    const item = {
      type: "reasoning",
      id: "rs_1",
      status: null,
      content: null,
      summary: [],
      encrypted_content: "x",
    };
    const done = { type: "response.output_item.done", item };
    const [given] = only(await collect(await streamOf(done, completed)), "provider-item");
    expect(given?.item).toEqual({ type: "reasoning", id: "rs_1", summary: [], encrypted_content: "x" });
  });

  test("may come from a server that does not name its events", async () => {
    const { model } = await scriptedModel((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end([delta("Hello"), completed].map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""));
    });
    expect(textOf(await collect(model.generate(turn("Hi"))))).toBe("Hello");
  });

  test.each([true, false])(
    "of something that is no model points at the base URL (stream: %s)",
    async (stream) => {
      const { model } = await scriptedModel((_request, response) =>
        response.writeHead(200, { "content-type": "text/html" }).end("<html></html>"),
      );
      const error = await failureOf(model.generate(turn("Hi", { stream })));
      expect(error).toMatchObject({ retryable: false, message: expect.stringContaining("OPENAI_BASE_URL") });
    },
  );
});
