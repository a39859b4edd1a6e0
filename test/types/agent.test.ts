import { openai } from "@ai-sdk/openai";
import {
  Agent,
  AgentOS,
  type AiSdkModel,
  EchoModel,
  type JsonObject,
  type JsonValue,
  type Message,
  type Model,
  type RunEvent,
  type RunResult,
  type ToolExecution,
} from "agentos-ts";
import { describe, expectTypeOf, test } from "vitest";
import * as z from "zod";

// What is here is checked by `npm run types`; nothing is run.

const model = new EchoModel();
const city = z.object({ name: z.string(), population: z.number() });
type City = z.output<typeof city>;

interface Cart {
  items: string[];
  paid?: boolean;
}

describe("what a run's content is", () => {
  test("a text, where the agent has no output schema", () => {
    const agent = new Agent({ id: "a", model });
    expectTypeOf(agent).toEqualTypeOf<Agent<string, JsonObject, JsonObject>>();
    const answer = () => agent.run("Rome");
    expectTypeOf(answer).returns.resolves.toEqualTypeOf<RunResult<string, JsonObject>>();
  });

  test("what the agent's output schema says", () => {
    const agent = new Agent({ id: "a", model, outputSchema: city });
    const answer = async () => (await agent.run("Rome")).content;
    expectTypeOf(answer).returns.resolves.toEqualTypeOf<City>();
    const withOptions = async () => (await agent.run("Rome", { userId: "ada" })).content;
    expectTypeOf(withOptions).returns.resolves.toEqualTypeOf<City>();
  });

  test("what the run's own output schema says, whatever the agent's", () => {
    const agent = new Agent({ id: "a", model, outputSchema: city });
    const answer = async () =>
      (await agent.run("x", { outputSchema: z.object({ ok: z.boolean() }) })).content;
    expectTypeOf(answer).returns.resolves.toEqualTypeOf<{ ok: boolean }>();
    const text = new Agent({ id: "b", model });
    const typed = async () => (await text.run("x", { outputSchema: city })).content;
    expectTypeOf(typed).returns.resolves.toEqualTypeOf<City>();
  });

  test("what a schema with a transformation makes of the answer", () => {
    const agent = new Agent({
      id: "a",
      model,
      outputSchema: z.object({ at: z.iso.date() }).transform(({ at }) => new Date(at)),
    });
    const answer = async () => (await agent.run("x")).content;
    expectTypeOf(answer).returns.resolves.toEqualTypeOf<Date>();
  });
});

describe("session state and dependencies", () => {
  test("the state is inferred from its first value, and is that of the answer", () => {
    const agent = new Agent({ id: "a", model, sessionState: { count: 0 } });
    const state = async () => (await agent.run("x")).sessionState;
    expectTypeOf(state).returns.resolves.toEqualTypeOf<{ count: number }>();
    void (() => agent.run("x", { sessionState: { count: 1 } }));
    // @ts-expect-error: the state has no such key
    void (() => agent.run("x", { sessionState: { total: 1 } }));
    // @ts-expect-error: the key has another type
    void (() => agent.run("x", { sessionState: { count: "1" } }));
  });

  test("an interface can be the state", () => {
    const agent = new Agent<string, Cart>({ id: "a", model, sessionState: { items: [] } });
    const items = async () => (await agent.run("x")).sessionState.items;
    expectTypeOf(items).returns.resolves.toEqualTypeOf<string[]>();
  });

  test("dependencies have the type that the agent names", () => {
    const agent = new Agent<string, JsonObject, { tenant: string }>({ id: "a", model });
    void (() => agent.run("x", { dependencies: { tenant: "acme" } }));
    // @ts-expect-error: another type
    void (() => agent.run("x", { dependencies: { tenant: 1 } }));
  });

  test("instructions get both", () => {
    new Agent<string, Cart, { tenant: string }>({
      id: "a",
      model,
      sessionState: { items: [] },
      instructions: ({ sessionState, dependencies, userId, sessionId }) => {
        expectTypeOf(sessionState).toEqualTypeOf<Readonly<Cart>>();
        expectTypeOf(dependencies).toEqualTypeOf<Readonly<{ tenant: string }>>();
        expectTypeOf(userId).toEqualTypeOf<string | undefined>();
        expectTypeOf(sessionId).toEqualTypeOf<string>();
        return "";
      },
    });
  });
});

describe("models", () => {
  test("an agent takes one of this package, and one of the AI SDK as it is", () => {
    expectTypeOf(model).toExtend<Model>();
    expectTypeOf(openai("gpt-5.5")).toExtend<AiSdkModel>();
    void (() => new Agent({ id: "a", model: openai("gpt-5.5") }));
    // @ts-expect-error: a name is no model
    void (() => new Agent({ id: "a", model: "gpt-5.5" }));
  });
});

describe("options", () => {
  test("what this version does not know is no option", () => {
    // @ts-expect-error: teams are none of ours
    void (() => new AgentOS({ agents: [], teams: [] }));
    // @ts-expect-error: arrives later
    void (() => new Agent({ id: "a", model }).run("x", { background: true }));
  });

  test("an AgentOS takes agents of any types, together", () => {
    const shop = new Agent({ id: "shop", model, sessionState: { items: [] as string[] } });
    const guide = new Agent({ id: "guide", model, outputSchema: city });
    const strict = new Agent<City, Cart, { tenant: string }>({ id: "c", model, outputSchema: city });
    expectTypeOf(AgentOS).toBeConstructibleWith({ agents: [shop, guide, strict] });
  });
});

describe("events", () => {
  test("the event's name tells which it is", () => {
    const read = (event: RunEvent) => {
      expectTypeOf(event.event_index).toEqualTypeOf<number>();
      expectTypeOf(event.run_id).toEqualTypeOf<string>();
      switch (event.event) {
        case "RunContent":
          expectTypeOf(event.content).toEqualTypeOf<string>();
          break;
        case "ToolCallStarted":
        case "ToolCallCompleted":
          expectTypeOf(event.tool).toEqualTypeOf<ToolExecution>();
          break;
        case "RunCompleted":
          expectTypeOf(event.content).toEqualTypeOf<JsonValue>();
          // @ts-expect-error: only a RunError has it
          event.error_type;
          break;
        case "RunError":
          expectTypeOf(event.error_type).toEqualTypeOf<string>();
          break;
        case "RunCancelled":
          expectTypeOf(event.reason).toEqualTypeOf<string>();
          break;
      }
    };
    const agent = new Agent({ id: "a", model });
    expectTypeOf(agent.stream).returns.toExtend<AsyncIterable<RunEvent>>();
    expectTypeOf(read).parameter(0).toEqualTypeOf<RunEvent>();
  });

  test("messages are what they are on the wire", () => {
    expectTypeOf<RunResult["messages"]>().toEqualTypeOf<Message[]>();
    expectTypeOf<Message["role"]>().toEqualTypeOf<"system" | "user" | "assistant" | "tool">();
  });
});
