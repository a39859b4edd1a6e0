import { ConfigurationError, EchoModel, OpenAIResponses } from "agentos-ts";
import { describe, expect, test } from "vitest";

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as Error).message).not.toContain("\n");
    return (error as Error).message;
  }
  throw new Error("It was taken.");
}

describe("OpenAIResponses refuses", () => {
  test.each<[string, unknown]>([
    ["id", 7],
    ["apiKey", 7],
    ["baseUrl", new URL("http://localhost")],
    ["timeout", "120"],
    ["timeout", 0],
    ["temperature", "hot"],
    ["temperature", Number.NaN],
    ["maxOutputTokens", 0],
    ["maxOutputTokens", 1.5],
    ["maxOutputTokens", "100"],
    ["reasoning", "high"],
    ["reasoning", { effort: 1 }],
    ["reasoning", { efort: "high" }],
    ["store", "yes"],
    ["headers", [["a", "b"]]],
    ["headers", { "x-team": 7 }],
    ["headers", { "x-team": "a\nb" }],
    ["headers", { "x team": "a" }],
    ["maxTokens", 100],
    ["model", "gpt-5.5"],
  ])("%s = %o", (option, value) => {
    const message = refusal(() => new OpenAIResponses({ apiKey: "test", [option]: value } as never));
    expect(message).toContain("OpenAIResponses");
    expect(message).toContain(option);
  });

  test("what is no options at all", () => {
    expect(refusal(() => new OpenAIResponses("gpt-5.5" as never))).toContain("options must be an object");
  });

  test("nothing where an option is undefined, or fits", async () => {
    const options = { id: undefined, temperature: 0, maxOutputTokens: 1, reasoning: { effort: "low" } };
    const model = new OpenAIResponses({ apiKey: "test", ...options, headers: { "x-team": "a" } });
    await model.close();
  });
});

describe("EchoModel refuses", () => {
  test.each<[string, unknown]>([
    ["delay", "5"],
    ["delay", -1],
    ["delay", Number.POSITIVE_INFINITY],
    ["respond", "hello"],
    ["id", "echo"],
  ])("%s = %o", (option, value) => {
    const message = refusal(() => new EchoModel({ [option]: value } as never));
    expect(message).toContain("EchoModel");
    expect(message).toContain(option);
  });
});
