import { Agent, EchoModel, type JsonObject, type Tool, type ToolContext, tool } from "agentos-ts";
import { describe, expectTypeOf, test } from "vitest";
import * as z from "zod";

// What is here is checked by `npm run types`; the tools are never called.

const model = new EchoModel();

interface Cart {
  items: string[];
}
interface Shop {
  tenant: string;
}

/** A tool for sessions whose state is a cart. */
const addItem = tool({
  name: "add_item",
  description: "Adds to the cart.",
  inputSchema: z.object({ item: z.string() }),
  execute: ({ item }, context: ToolContext<Cart, Shop>) => {
    context.sessionState.items.push(item);
  },
});

/** A tool for any session. */
const clock = tool({
  name: "clock",
  description: "Tells the time.",
  inputSchema: z.object({}),
  execute: () => new Date().toISOString(),
});

describe("execute", () => {
  test("gets what its schema makes of the arguments", () => {
    tool({
      name: "t",
      description: "",
      inputSchema: z.object({ a: z.number(), b: z.string().default("x"), c: z.string().transform(Number) }),
      execute: (input) => {
        expectTypeOf(input).toEqualTypeOf<{ a: number; b: string; c: number }>();
      },
    });
  });

  test("gets a context with a JSON object as state, where nothing else is said", () => {
    tool({
      name: "t",
      description: "",
      inputSchema: z.object({}),
      execute: (_input, context) => {
        expectTypeOf(context).toEqualTypeOf<ToolContext<JsonObject, JsonObject>>();
        expectTypeOf(context.userId).toEqualTypeOf<string | undefined>();
        expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
        expectTypeOf(context.toolCallId).toEqualTypeOf<string>();
      },
    });
  });

  test("infers its state and dependencies from an annotated context, and its input still from the schema", () => {
    expectTypeOf(addItem).toEqualTypeOf<Tool<{ item: string }, Cart, Shop>>();
  });
});

describe("what people are needed for", () => {
  test("is named by the arguments of the schema", () => {
    const inputSchema = z.object({ city: z.string(), seats: z.number() });
    const basics = { name: "t", description: "", inputSchema };
    tool({
      ...basics,
      requiresUserInput: ["city"],
      requiresConfirmation: true,
      execute: ({ seats }) => seats,
    });
    tool({ ...basics, requiresUserInput: true, execute: ({ city }) => city });
    // @ts-expect-error: it has no argument "country"
    void (() => tool({ ...basics, requiresUserInput: ["country"], execute: () => "" }));
  });

  test("a call that is made elsewhere has no execute, and any other needs one", () => {
    const basics = { name: "t", description: "", inputSchema: z.object({ page: z.number() }) };
    expectTypeOf(tool({ ...basics, externalExecution: true })).toEqualTypeOf<Tool<{ page: number }>>();
    // @ts-expect-error: it is executed elsewhere
    void (() => tool({ ...basics, externalExecution: true, execute: () => "" }));
    // @ts-expect-error: nothing executes it
    void (() => tool(basics));
  });
});

describe("an agent", () => {
  test("takes tools of its own state, and of any", () => {
    const agent = new Agent<string, Cart, Shop>({
      id: "a",
      model,
      sessionState: { items: [] },
      tools: [addItem, clock],
    });
    expectTypeOf(agent).toEqualTypeOf<Agent<string, Cart, Shop>>();
  });

  test("infers what its tools need", () => {
    const agent = new Agent({ id: "a", model, tools: [addItem] });
    const state = async () => (await agent.run("x", { dependencies: { tenant: "acme" } })).sessionState;
    expectTypeOf(state).returns.resolves.toEqualTypeOf<Cart>();
    // @ts-expect-error: the tool needs a tenant
    void (() => agent.run("x", { dependencies: { tenant: 1 } }));
  });

  test("infers from its state first, whatever its tools ask for", () => {
    const agent = new Agent({ id: "a", model, sessionState: { items: ["tea"] }, tools: [clock, addItem] });
    const state = async () => (await agent.run("x")).sessionState.items;
    expectTypeOf(state).returns.resolves.toEqualTypeOf<string[]>();
    const plain = new Agent({ id: "b", model, sessionState: { count: 0 }, tools: [clock] });
    expectTypeOf(plain).toEqualTypeOf<Agent<string, { count: number }, JsonObject>>();
  });

  test("tells tools that are made in its place what its state is", () => {
    new Agent<string, { count: number }>({
      id: "a",
      model,
      sessionState: { count: 0 },
      tools: [
        tool({
          name: "count",
          description: "",
          inputSchema: z.object({ by: z.number() }),
          execute: ({ by }, { sessionState }) => {
            expectTypeOf(sessionState).toEqualTypeOf<{ count: number }>();
            sessionState.count += by;
          },
        }),
      ],
    });
  });

  test("refuses tools of another state, or of other dependencies", () => {
    new Agent<string, { total: number }>({
      id: "a",
      model,
      // @ts-expect-error: its state has no items
      tools: [addItem],
    });
    new Agent<string, Cart, { tenant: number }>({
      id: "a",
      model,
      // @ts-expect-error: its tenant is a number
      tools: [addItem],
    });
  });
});
