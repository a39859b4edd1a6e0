import { Agent, EchoModel, type ModelEvent, type ToolDefinition, tool } from "agentos-ts";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { collect, createAgent } from "./create-agent.ts";

const add = tool({
  name: "add",
  description: "Adds.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  execute: ({ a, b }) => a + b,
});

const boom = tool({
  name: "boom",
  description: "Fails.",
  inputSchema: z.object({}),
  execute: () => {
    throw new Error("the printer is on fire");
  },
});

describe("a call that fails is told to the model, and the run goes on:", () => {
  test.each([
    ["a tool that throws", "[[tool=boom {}]]", /^the printer is on fire$/],
    ["arguments of the wrong type", '[[tool=add {"a":"two","b":1}]]', /do not fit.*expected number/s],
    ["an argument that is missing", '[[tool=add {"a":2}]]', /do not fit/],
    ["arguments that are no JSON", "[[tool=add a+b]]", /not valid JSON/],
    ["arguments that are no object", "[[tool=add [1,2]]]", /do not fit/],
    ["a tool that there is not", "[[tool=subtract {}]]", /does not exist/],
  ])("%s", async (_name, message, said) => {
    const { agent, mock } = await createAgent({ tools: [add, boom] });
    const { status, tools, content } = await agent.run(message);
    expect(status).toBe("completed");
    expect(tools).toEqual([expect.objectContaining({ failed: true, result: expect.stringMatching(said) })]);
    expect(content).toBe(`Tool said: ${tools[0]?.result}`);
    expect(mock.requests).toHaveLength(2);
  });

  test("with an event of its own after the one that the call ended", async () => {
    const { agent } = await createAgent({ tools: [boom] });
    const events = await collect(agent.stream("[[tool=boom {}]]"));
    const at = events.findIndex(({ event }) => event === "ToolCallError");
    expect(events[at]).toMatchObject({ error: "the printer is on fire" });
    expect(events[at - 1]).toMatchObject({ event: "ToolCallCompleted", tool: { tool_call_error: true } });
  });

  test("the others of its turn are not touched", async () => {
    const { agent } = await createAgent({ tools: [add, boom] });
    const { tools } = await agent.run('[[tool=boom {}]] [[tool=add {"a":1,"b":2}]]');
    expect(tools.map(({ toolName, failed }) => [toolName, failed]).toSorted()).toEqual([
      ["add", false],
      ["boom", true],
    ]);
  });
});

describe("the limit of tool calls", () => {
  test("answers what is over it with an error, within one turn too", async () => {
    let calls = 0;
    const count = tool({
      name: "count",
      description: "Counts.",
      inputSchema: z.object({}),
      execute: () => ++calls,
    });
    const { agent } = await createAgent({ tools: [count], toolCallLimit: 2 });
    const { tools } = await agent.run("[[tool=count {}]] [[tool=count {}]] [[tool=count {}]]");
    expect(calls).toBe(2);
    const refused = tools.filter(({ failed }) => failed);
    expect(refused).toEqual([expect.objectContaining({ result: expect.stringContaining("limit") })]);
  });

  test("makes a model that would call on and on answer: it is then offered no tool", async () => {
    const offered: number[] = [];
    let serial = 0;
    const eager = new EchoModel({
      respond: ({ tools }): string | ModelEvent[] => {
        offered.push(tools.length);
        const id = `call_${++serial}`;
        return tools.length === 0
          ? "enough"
          : [{ type: "tool-call", id, callId: id, name: "add", arguments: '{"a":1,"b":1}' }];
      },
    });
    const agent = new Agent({ id: "copilot", model: eager, tools: [add], toolCallLimit: 3 });
    const { content, tools } = await agent.run("go");
    expect(content).toBe("enough");
    expect(tools).toHaveLength(3);
    expect(offered).toEqual([1, 1, 1, 0]);
  });

  test("of 0 offers none at all", async () => {
    const { agent, mock } = await createAgent({ tools: [add], toolCallLimit: 0 });
    await agent.run("hello");
    expect(mock.requests[0]?.body.tools ?? []).toEqual([]);
  });
});

test("a tool without arguments may be called with none", async () => {
  const offered: ToolDefinition[] = [];
  const model = new EchoModel({
    respond: ({ messages, tools }) => {
      offered.push(...tools);
      return messages.at(-1)?.role === "tool"
        ? "done"
        : [{ type: "tool-call", id: "1", callId: "1", name: "now", arguments: "" }];
    },
  });
  const now = tool({ name: "now", description: "", inputSchema: z.object({}), execute: () => "noon" });
  const { tools } = await new Agent({ id: "copilot", model, tools: [now] }).run("when?");
  expect(tools).toEqual([expect.objectContaining({ failed: false, result: "noon" })]);
  expect(offered[0]?.parameters).toMatchObject({ type: "object", properties: {} });
});
