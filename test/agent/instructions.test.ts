import { describe, expect, test } from "vitest";
import { createAgent } from "./create-agent.ts";

type Asked = { input: { role: string; content: string }[] };

describe("instructions", () => {
  test.each([
    ["a text", "Answer briefly.", "Answer briefly."],
    ["several texts", ["Answer briefly.", "Be kind."], "Answer briefly.\n\nBe kind."],
  ])("can be %s; the description comes first", async (_name, instructions, asked) => {
    const { agent, mock } = await createAgent({ description: "You are a clerk.", instructions });
    await agent.run("hello");
    const { input } = mock.requests[0]!.body as unknown as Asked;
    expect(input.map(({ content }) => content)).toEqual([`You are a clerk.\n\n${asked}`, "hello"]);
  });

  test("can be made for each run, from its user, its state and its dependencies", async () => {
    const { agent, mock } = await createAgent<string, { name: string }, { tenant: string }>({
      sessionState: { name: "nobody" },
      instructions: async ({ userId, sessionId, sessionState, dependencies }) =>
        `${userId} of ${dependencies.tenant}, called ${sessionState.name}, in ${sessionId}`,
    });
    await agent.run("hello", {
      userId: "ada",
      sessionId: "one",
      sessionState: { name: "Ada" },
      dependencies: { tenant: "acme" },
    });
    const { input } = mock.requests[0]!.body as unknown as Asked;
    expect(input[0]?.content).toBe("ada of acme, called Ada, in one");
  });

  test("that cannot be made end the run, and the caller is not told why: the log is", async () => {
    const { agent } = await createAgent({
      instructions: () => {
        throw new Error("secret of the template");
      },
    });
    const error = await agent.run("hello").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "internal_error" });
    expect((error as Error).message).not.toContain("secret");
  });
});

describe("an agent without instructions", () => {
  test("has no system prompt", async () => {
    const { agent, mock } = await createAgent();
    await agent.run("hello");
    const { input } = mock.requests[0]!.body as unknown as Asked;
    expect(input.map(({ role }) => role)).toEqual(["user"]);
  });
});
