import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OpenAIResponses } from "../../src/models/openai-responses.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { collect, failureOf, textOf, turn } from "../support/model-turns.ts";
import { apiKey, scriptedModel, sendJson } from "../support/scripted-provider.ts";

let mock: MockModel;

beforeAll(async () => {
  mock = await startMockModel();
});
afterAll(() => mock.close());

describe("a refusal", () => {
  const model = () => new OpenAIResponses({ apiKey, baseUrl: mock.url });

  test.each([
    [408, true],
    [409, true],
    [429, true],
    [500, true],
    [503, true],
    [400, false],
    [401, false],
    [404, false],
  ])("with status %i tells whether to try again", async (status, retryable) => {
    const error = await failureOf(model().generate(turn(`[[error=${status}]]`)));
    expect(error).toMatchObject({ providerStatus: status, retryable });
    expect(error.message).toContain(`OpenAI answered ${status}: mock error ${status}.`);
  });

  test("says what to do", async () => {
    expect((await failureOf(model().generate(turn("[[error=401]]")))).message).toMatch(
      /Check OPENAI_API_KEY/,
    );
    expect((await failureOf(model().generate(turn("[[error=404]]")))).message).toMatch(/OPENAI_BASE_URL/);
  });

  test("for an empty account is final", async () => {
    const error = await failureOf(model().generate(turn("[[error=429]] [[code=insufficient_quota]]")));
    expect(error.retryable).toBe(false);
    expect(error.message).toMatch(/billing/);
  });

  test("tells how long to wait", async () => {
    expect((await failureOf(model().generate(turn("[[error=429]] [[after=7]]")))).retryAfter).toBe(7);
    const date = new Date(Date.now() + 60_000).toUTCString();
    const { retryAfter } = await failureOf(model().generate(turn(`[[error=429]] [[after=${date}]]`)));
    expect(retryAfter).toBeGreaterThan(50);
    expect(retryAfter).toBeLessThanOrEqual(60);
    expect(
      (await failureOf(model().generate(turn("[[error=429]] [[after=soon]]")))).retryAfter,
    ).toBeUndefined();
  });

  test("may pass", async () => {
    const text = "[[errors=2:503]] hello";
    expect((await failureOf(model().generate(turn(text)))).retryable).toBe(true);
    expect((await failureOf(model().generate(turn(text)))).retryable).toBe(true);
    expect(textOf(await collect(model().generate(turn(text))))).toMatch(/You said: hello/);
  });

  test("never shows the key, even where the provider does", async () => {
    const { model: one } = await scriptedModel((_request, response) =>
      sendJson(response, 401, {
        error: { message: `Incorrect API key provided: ${apiKey} (sk-proj-****wxyz)` },
      }),
    );
    const error = await failureOf(one.generate(turn("Hi")));
    expect(error.message).toBe(
      "OpenAI answered 401: Incorrect API key provided: [key] ([key]). Check OPENAI_API_KEY.",
    );
  });

  test("that is a web page is told by its status alone", async () => {
    const { model: one } = await scriptedModel((_request, response) =>
      response.writeHead(502, { "content-type": "text/html" }).end("<html><body>Bad gateway</body></html>"),
    );
    expect(await failureOf(one.generate(turn("Hi")))).toMatchObject({
      message: "OpenAI answered 502.",
      retryable: true,
    });
  });

  test("is what a redirect is", async () => {
    const { model: one } = await scriptedModel((_request, response) =>
      response.writeHead(302, { location: mock.url }).end(),
    );
    expect(await failureOf(one.generate(turn("Hi")))).toMatchObject({
      providerStatus: 302,
      retryable: false,
    });
  });
});
