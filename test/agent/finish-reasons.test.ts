import { Agent, EchoModel, type RunNotCompletedError, SqliteDb, tool } from "agentos-ts";
import { describe, expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import { noTokens } from "../../src/events/metrics.ts";
import type { ModelEvent, ModelRequest } from "../../src/models/model.ts";
import { collect } from "./create-agent.ts";

type Finish = Extract<ModelEvent, { type: "finish" }>;

const text = (delta: string): ModelEvent => ({ type: "text", delta });
const finish = (finishReason: Finish["finishReason"], more: Partial<Finish> = {}): ModelEvent => ({
  type: "finish",
  usage: noTokens(),
  finishReason,
  ...more,
});
const call = (id: string, json = "{}"): ModelEvent => ({
  type: "tool-call",
  id,
  callId: id,
  name: "look",
  arguments: json,
});
const look = tool({ name: "look", description: "", inputSchema: z.object({}), execute: () => "seen" });

function agentThatSays(respond: (request: ModelRequest) => readonly ModelEvent[], more: object = {}) {
  const db = new SqliteDb({ path: ":memory:" });
  onTestFinished(() => db.close());
  return new Agent({ id: "copilot", db, model: new EchoModel({ respond }), ...more });
}

function failure(agent: Agent, options: object = {}): Promise<RunNotCompletedError> {
  return agent.run("hi", options).then(
    ({ content }) => Promise.reject(new Error(`It completed with "${content}".`)),
    (error) => error,
  );
}

describe("a turn that was ended by", () => {
  test.each<[string, ModelEvent[]]>([
    ["nothing", []],
    ["half an answer", [text("I would")]],
  ])("the content filter is an error that says so, with %s said", async (_, said) => {
    const error = await failure(agentThatSays(() => [...said, finish("content-filter")]));
    expect(error).toMatchObject({ code: "model_error", message: expect.stringContaining("content filter") });
  });

  test.each<[string, ModelEvent[], object]>([
    ["nothing said", [finish("length")], {}],
    ["a tool call that was lost", [text("I look."), finish("length", { lostCall: true })], {}],
    ["a tool call that was cut off", [call("1", '{"a'), finish("length")], {}],
    [
      "an output schema",
      [text('{"ok":tr'), finish("length")],
      { outputSchema: z.object({ ok: z.boolean() }) },
    ],
  ])("the limit of tokens, with %s, is an error that names the setting", async (_, events, options) => {
    const error = await failure(
      agentThatSays(() => events, { tools: [look] }),
      options,
    );
    expect(error).toMatchObject({
      code: "model_error",
      message: expect.stringContaining("maxOutputTokens"),
    });
  });

  test("the limit of tokens in the middle of a text is told by the event and by the message", async () => {
    const agent = agentThatSays(() => [text("Once upon"), finish("length")]);
    const { content, messages } = await agent.run("hi");
    expect(content).toBe("Once upon");
    expect(messages.at(-1)).toMatchObject({ role: "assistant", finish_reason: "length" });
    const events = await collect(agent.stream("hi"));
    expect(events.find(({ event }) => event === "ModelRequestCompleted")).toMatchObject({
      finish_reason: "length",
    });
  });
});

describe("a model that calls a tool though none is offered", () => {
  /** Every call that a model was sent must have its output, as providers demand. */
  function callsWithoutOutput({ messages }: ModelRequest): string[] {
    const outputs = new Set(messages.map(({ tool_call_id }) => tool_call_id));
    return messages
      .flatMap(({ tool_calls = [] }) => tool_calls.map(({ call_id }) => call_id))
      .filter((id) => !outputs.has(id));
  }

  test.each([
    ["has none", {}],
    ["may call none any more", { tools: [look], toolCallLimit: 1 }],
  ])("keeps its text alone where the agent %s", async (_, options) => {
    const asked: ModelRequest[] = [];
    let calls = 0;
    const agent = agentThatSays(
      (request) => {
        // The list of messages goes on growing.
        asked.push({ ...request, messages: [...request.messages] });
        return [text("I know."), call(`call_${calls++}`), { type: "provider-item", item: { type: "x" } }];
      },
      { addHistoryToContext: true, ...options },
    );
    const { messages } = await agent.run("one", { sessionId: "s" });
    expect(messages.at(-1)).toMatchObject({ role: "assistant", content: "I know." });
    expect(messages.at(-1)).not.toHaveProperty("tool_calls");
    expect(messages.at(-1)).not.toHaveProperty("provider_items");
    await agent.run("two", { sessionId: "s" });
    expect(asked.length).toBeGreaterThan(1);
    expect(asked.flatMap(callsWithoutOutput)).toEqual([]);
  });

  test.each([
    ["has none", {}, /"look".*no tools/],
    ["may call none any more", { tools: [look], toolCallLimit: 1 }, /toolCallLimit/],
  ])("and says nothing ends the run as error where the agent %s", async (_, options, said) => {
    let calls = 0;
    const error = await failure(agentThatSays(() => [call(`call_${calls++}`)], options));
    expect(error).toMatchObject({ code: "model_error", message: expect.stringMatching(said) });
  });
});
