import { type ToolContext, tool } from "agentos-ts";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { collect, createAgent, gate } from "./create-agent.ts";

interface Cart {
  items: string[];
}

describe("a tool", () => {
  test("gets what its schema makes of the arguments, and its result goes to the model", async () => {
    const add = tool({
      name: "add",
      description: "Adds.",
      inputSchema: z.object({ a: z.number(), b: z.number().default(1) }),
      execute: ({ a, b }) => ({ sum: a + b }),
    });
    const { agent, mock } = await createAgent({ tools: [add] });
    const { content, tools } = await agent.run('[[tool=add {"a":2}]]');
    expect(content).toBe('Tool said: {"sum":3}');
    expect(tools).toEqual([
      expect.objectContaining({
        toolName: "add",
        toolArgs: { a: 2 },
        failed: false,
        result: '{"sum":3}',
      }),
    ]);
    expect(mock.requests[0]?.body.tools).toEqual([
      expect.objectContaining({ type: "function", name: "add", description: "Adds." }),
    ]);
  });

  test("knows the run that calls it", async () => {
    let seen: ToolContext | undefined;
    const look = tool({
      name: "look",
      description: "Looks around.",
      inputSchema: z.object({}),
      execute: (_input, context) => {
        seen = context;
      },
    });
    const { agent } = await createAgent({ tools: [look], metadata: { team: "support" } });
    const run = await agent.run("[[tool=look {}]]", {
      userId: "ada",
      sessionId: "thread-1",
      dependencies: { tenant: "acme" },
      metadata: { source: "cron" },
    });
    expect(seen).toMatchObject({
      runId: run.runId,
      sessionId: "thread-1",
      userId: "ada",
      agentId: "copilot",
      toolCallId: run.tools[0]?.toolCallId,
      dependencies: { tenant: "acme" },
      metadata: { team: "support", source: "cron" },
    });
    expect(seen?.signal.aborted).toBe(false);
  });

  test("is called the same in its context, in the events and in the answer", async () => {
    const ids: string[] = [];
    const look = tool({
      name: "look",
      description: "Looks around.",
      inputSchema: z.object({}),
      execute: (_input, { toolCallId }) => void ids.push(toolCallId),
    });
    const { agent } = await createAgent({ tools: [look] });
    for (const event of await collect(agent.stream("[[tool=look {}]]"))) {
      if ("tool" in event) ids.push(event.tool.tool_call_id);
    }
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
  });

  test("changes the session's state, and later runs of the session find it so", async () => {
    const addItem = tool({
      name: "add_item",
      description: "Adds to the cart.",
      inputSchema: z.object({ item: z.string() }),
      execute: ({ item }, { sessionState }: ToolContext<Cart>) => sessionState.items.push(item),
    });
    const { agent } = await createAgent({ tools: [addItem], sessionState: { items: ["tea"] } });
    await agent.run('[[tool=add_item {"item":"milk"}]]', { sessionId: "one" });
    const again = await agent.run('[[tool=add_item {"item":"bread"}]]', { sessionId: "one" });
    expect(again.sessionState).toEqual({ items: ["tea", "milk", "bread"] });
    const other = await agent.run("hello", { sessionId: "two" });
    expect(other.sessionState).toEqual({ items: ["tea"] });
  });

  test("that changed the state before the run failed has changed it", async () => {
    const mark = tool({
      name: "mark",
      description: "Marks.",
      inputSchema: z.object({}),
      execute: (_input, { sessionState }) => {
        sessionState["marked"] = true;
        return new Promise(() => undefined);
      },
    });
    const { agent } = await createAgent({ tools: [mark], timeLimit: 0.1 });
    await expect(agent.run("[[tool=mark {}]]", { sessionId: "one" })).rejects.toThrow();
    expect((await agent.run("hello", { sessionId: "one" })).sessionState).toEqual({ marked: true });
  });
});

describe("several calls of one turn", () => {
  test("run side by side: each of these waits for the other", async () => {
    const gates = { a: gate(), b: gate() };
    const meet = tool({
      name: "meet",
      description: "Waits for the other.",
      inputSchema: z.object({ me: z.enum(["a", "b"]) }),
      execute: async ({ me }) => {
        gates[me].open();
        await gates[me === "a" ? "b" : "a"].passed;
        return `${me} met`;
      },
    });
    const { agent } = await createAgent({ tools: [meet] });
    const { content } = await agent.run('[[tool=meet {"me":"a"}]] [[tool=meet {"me":"b"}]]');
    expect(content).toBe("Tool said: a met | b met");
  });

  test("end as they do: a quick one does not wait for a slow one to be told of", async () => {
    const slow = gate();
    const wait = tool({
      name: "wait",
      description: "Waits.",
      inputSchema: z.object({ long: z.boolean() }),
      execute: ({ long }) => (long ? slow.passed : undefined),
    });
    const { agent } = await createAgent({ tools: [wait] });
    const order: unknown[] = [];
    for await (const event of agent.stream('[[tool=wait {"long":true}]] [[tool=wait {"long":false}]]')) {
      if (event.event !== "ToolCallCompleted") continue;
      order.push(event.tool.tool_args.long);
      slow.open();
    }
    expect(order).toEqual([false, true]);
  });

  test("can ask for the same tool twice, each with its own arguments", async () => {
    const echo = tool({
      name: "echo",
      description: "Echoes.",
      inputSchema: z.object({ text: z.string() }),
      execute: ({ text }) => text,
    });
    const { agent } = await createAgent({ tools: [echo] });
    const { tools } = await agent.run('[[tool=echo {"text":"x"}]] [[tool=echo {"text":"y"}]]');
    expect(tools.map(({ result }) => result).toSorted()).toEqual(["x", "y"]);
    expect(new Set(tools.map(({ toolCallId }) => toolCallId)).size).toBe(2);
  });
});
