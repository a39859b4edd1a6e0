import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OpenAIResponses } from "../../src/models/openai-responses.ts";
import { type MockModel, startMockModel } from "../support/mock-model.ts";
import { collect, each, failureOf, turn } from "../support/model-turns.ts";
import { apiKey, scriptedModel, sendEvents } from "../support/scripted-provider.ts";

let mock: MockModel;

beforeAll(async () => {
  mock = await startMockModel();
});
afterAll(() => mock.close());

const completed = { type: "response.completed", response: { status: "completed", usage: null } };
const delta = (text: string) => ({ type: "response.output_text.delta", delta: text });

describe("a connection", () => {
  test("that is cut in the middle of an answer gives what had come, then an error to try again", async () => {
    const got: string[] = [];
    const model = new OpenAIResponses({ apiKey, baseUrl: mock.url });
    const reading = (async () => {
      for await (const event of each(model.generate(turn("[[tokens=9]] [[delay=1]] [[drop=3]]"))))
        if (event.type === "text") got.push(event.delta);
    })();
    await expect(reading).rejects.toMatchObject({ name: "ModelError", retryable: true });
    await expect(reading).rejects.toThrow(/connection to OpenAI was lost/);
    expect(got).toEqual(["word0 ", "word1 ", "word2 "]);
  });

  test("that ends before the answer is complete is an error to try again", async () => {
    const { model } = await scriptedModel((_request, response) => sendEvents(response, [delta("Hello")]));
    const error = await failureOf(model.generate(turn("Hi")));
    expect(error).toMatchObject({ retryable: true });
    expect(error.message).toMatch(/connection to OpenAI was lost/);
  });

  test("that cannot be made is an error to try again, which says where to", async () => {
    const { model, provider } = await scriptedModel(() => {});
    await provider.close();
    const error = await failureOf(model.generate(turn("Hi")));
    expect(error.retryable).toBe(true);
    expect(error.message).toContain(provider.url);
    expect(error.message).toContain("ECONNREFUSED");
  });

  test.each([true, false])("on which nothing comes is given up (stream: %s)", async (stream) => {
    const { model } = await scriptedModel(() => {}, { timeout: 0.1 });
    const error = await failureOf(model.generate(turn("Hi", { stream })));
    expect(error).toMatchObject({ retryable: true, message: expect.stringMatching(/nothing for 0.1 s/) });
  });

  test("on which nothing more comes is given up", async () => {
    const { model } = await scriptedModel(
      (_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).write(": hello\n\n");
      },
      { timeout: 0.1 },
    );
    expect((await failureOf(model.generate(turn("Hi")))).message).toMatch(/nothing for 0.1 s/);
  });

  test("serves one turn after the other", async () => {
    const { model, provider } = await scriptedModel((_request, response) =>
      sendEvents(response, [delta("Hello"), completed]),
    );
    for (let turns = 0; turns < 5; turns += 1) await collect(model.generate(turn("Hi")));
    // A turn that follows at once may find the first connection still busy with the end of its stream.
    expect(provider.connections()).toBeLessThanOrEqual(2);
  });

  test("is closed as soon as the reader leaves", async () => {
    const left = Promise.withResolvers<void>();
    const { model } = await scriptedModel((_request, response) => {
      response.on("close", () => left.resolve());
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`data: ${JSON.stringify(delta("Hello"))}\n\n`);
    });
    for await (const event of each(model.generate(turn("Hi")))) {
      expect(event).toEqual({ type: "text", delta: "Hello" });
      break;
    }
    await left.promise;
  });

  test("does not hold up the last event when the provider leaves it open", async () => {
    const { model } = await scriptedModel((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`data: ${JSON.stringify(completed)}\n\n`);
    });
    expect(await collect(model.generate(turn("Hi")))).toHaveLength(1);
  });

  test("is not made any more by a closed model", async () => {
    const { model } = await scriptedModel((_request, response) => sendEvents(response, [completed]));
    await collect(model.generate(turn("Hi")));
    await model.close();
    expect(await failureOf(model.generate(turn("Hi")))).toMatchObject({ retryable: false });
  });
});
