import { Agent, AgentOS, ConfigurationError, EchoModel, InvalidRequestError, tool } from "agentos-ts";
import { describe, expect, test } from "vitest";
import * as z from "zod";

const model = new EchoModel();
const noop = tool({ name: "noop", description: "", inputSchema: z.object({}), execute: () => "" });

/** The message of an error that a user is to act on: it is one line. */
function lineOf(error: unknown, kind: new (message: string) => Error = ConfigurationError): string {
  expect(error).toBeInstanceOf(kind);
  const { message } = error as Error;
  expect(message).not.toContain("\n");
  return message;
}

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return lineOf(error);
  }
  throw new Error("It was taken.");
}

describe("an agent refuses", () => {
  test.each<[string, unknown]>([
    ["id", ""],
    ["id", "has space"],
    ["id", "a".repeat(129)],
    ["id", undefined],
    ["id", 7],
    ["model", undefined],
    ["model", "gpt-5.5"],
    ["model", { modelId: "half a model" }],
    ["name", 7],
    ["description", ["a"]],
    ["instructions", 7],
    ["instructions", ["a", 7]],
    ["db", "postgresql://localhost/ai"],
    ["tools", noop],
    ["tools", [{ name: "noop" }]],
    ["tools", [noop, noop]],
    ["addHistoryToContext", "yes"],
    ["numHistoryRuns", 0],
    ["numHistoryRuns", 101],
    ["numHistoryRuns", 1.5],
    ["numHistoryRuns", "3"],
    ["enableAgenticMemory", "yes"],
    ["updateMemoryOnRun", 1],
    ["memoryBudget", 499],
    ["memoryBudget", "8000"],
    ["sessionState", "{}"],
    ["sessionState", []],
    ["outputSchema", { type: "object" }],
    ["outputSchema", z.string()],
    ["outputSchema", z.object({ at: z.date() })],
    ["retries", -1],
    ["retries", Number.NaN],
    ["retryDelay", 61],
    ["toolCallLimit", -1],
    ["toolCallLimit", 2.5],
    ["timeLimit", 0],
    ["timeLimit", Number.POSITIVE_INFINITY],
    ["metadata", "x"],
  ])("%s = %o", (option, value) => {
    const message = refusal(() => new Agent({ id: "copilot", model, [option]: value } as never));
    expect(message).toContain(option === "tools" && Array.isArray(value) && value[1] ? "noop" : option);
    if (option !== "id") expect(message).toContain("copilot");
  });

  test.each(["enableAgenticState", "memoryManager", "addHistroyToContext"])(
    "an option that this version does not know: %s",
    (option) => {
      expect(refusal(() => new Agent({ id: "copilot", model, [option]: true } as never))).toBe(
        `Agent "copilot": this version has no option "${option}".`,
      );
    },
  );

  test("both ways to remember at once", () => {
    const both = { enableAgenticMemory: true, updateMemoryOnRun: true };
    expect(refusal(() => new Agent({ id: "copilot", model, ...both }))).toContain("Choose one");
  });

  test("a tool with the name of the one that changes memories, where the agent has that", () => {
    const options = { name: "update_user_memory", description: "", inputSchema: z.object({}) };
    const own = tool({ ...options, execute: () => "" });
    expect(new Agent({ id: "copilot", model, tools: [own] }).id).toBe("copilot");
    const refused = refusal(
      () => new Agent({ id: "copilot", model, tools: [own], enableAgenticMemory: true }),
    );
    expect(refused).toContain("update_user_memory");
  });

  test("nothing where an option is undefined: that is as if it was not there", () => {
    expect(new Agent({ id: "copilot", model, name: undefined, tools: undefined } as never).id).toBe(
      "copilot",
    );
  });
});

describe("a run refuses", () => {
  const agent = new Agent({ id: "copilot", model });
  const bytes = new Uint8Array([1]);
  const file = { kind: "image", filename: "a.png", mime_type: "image/png", bytes };

  test.each<[string, unknown]>([
    ["sessionId", ""],
    ["sessionId", 7],
    ["sessionId", "a\u0000b"],
    ["userId", "a".repeat(256)],
    ["userId", "\ud800"],
    ["sessionState", []],
    ["dependencies", "x"],
    ["metadata", 7],
    ["files", [{ filename: "a.png" }]],
    ["files", [{ bytes }]],
    ["files", [{ ...file, kind: "video" }]],
    ["files", [{ ...file, filename: "" }]],
    ["files", [{ ...file, filename: "a\u0000b" }]],
    ["files", [{ ...file, mime_type: "png" }]],
    ["files", [{ ...file, bytes: "abc" }]],
    ["outputSchema", z.string()],
    ["outputSchema", z.object({ at: z.date() })],
    ["signal", new AbortController()],
    ["background", true],
    ["stream", true],
  ])("%s = %o", async (option, value) => {
    const error = await agent.run("hello", { [option]: value }).catch((thrown: unknown) => thrown);
    expect(lineOf(error, InvalidRequestError)).toContain(option);
  });

  test.each([[""], ["  "], [undefined], [{ content: "hello" }]])("the message %o", async (message) => {
    await expect(agent.run(message as never)).rejects.toThrow(InvalidRequestError);
    await expect(agent.stream(message as never).next()).rejects.toThrow(InvalidRequestError);
  });

  test.each([null, "s-1"])("the options %o", async (options) => {
    const error = await agent.run("hello", options as never).catch((thrown: unknown) => thrown);
    expect(lineOf(error, InvalidRequestError)).toContain("options");
  });

  test("in a custom route it is the caller's fault, not the database's", async () => {
    const app = new AgentOS({ agents: [agent], logLevel: "silent" }).getApp();
    app.post("/ask", async (c) => c.json(await agent.run(await c.req.text())));
    const answer = await app.request("/ask", { method: "POST", body: "" });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ detail: expect.stringContaining("input") });
  });
});

describe("a tool refuses", () => {
  const options = { name: "add", description: "", inputSchema: z.object({}), execute: () => "" };

  test.each<[string, unknown, string]>([
    ["name", "has space", "tool name"],
    ["name", "", "tool name"],
    ["name", "a".repeat(65), "tool name"],
    ["name", undefined, "tool name"],
    ["inputSchema", z.string(), "must be an object"],
    ["inputSchema", z.object({ at: z.date() }), "cannot be told to a model"],
    ["inputSchema", undefined, "inputSchema"],
    ["execute", undefined, "execute"],
    ["requiresConfirmation", "yes", "requiresConfirmation"],
    ["requiresUserInput", ["city"], "no argument of it"],
    ["externalExecution", true, "Leave out execute"],
    ["onUnknownResult", "guess", "onUnknownResult"],
    ["timeLimit", 0, "timeLimit"],
    ["background", true, "background"],
  ])("%s = %o", (option, value, said) => {
    expect(refusal(() => tool({ ...options, [option]: value } as never))).toContain(said);
  });
});

describe("an AgentOS refuses", () => {
  const agent = new Agent({ id: "copilot", model });

  test.each<[string, unknown]>([
    ["agents", []],
    ["agents", undefined],
    ["agents", agent],
    ["agents", [{ id: "copilot" }]],
    ["authorization", true],
    ["drainTimeout", -1],
    ["maxJsonBytes", "1mb"],
    ["maxUploadBytes", Number.NaN],
    ["logLevel", "loud"],
    ["db", {}],
    ["corsOrigins", "https://acme.com"],
  ])("%s = %o", (option, value) => {
    expect(refusal(() => new AgentOS({ agents: [agent], [option]: value } as never))).toContain(option);
  });
});
