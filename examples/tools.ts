/**
 * Tools: the model looks up an order of the user who asks, and keeps a cart in the session's state.
 * Offline, without OPENAI_API_KEY, the echo model calls none.
 *
 *   curl -X POST http://localhost:7777/agents/shop/runs \
 *     -F 'message=Where is my order A-17? And put tea into my cart.' -F 'user_id=sarah@acme.com' -F 'stream=false'
 */
import {
  Agent,
  AgentOS,
  databaseFromEnvironment,
  modelFromEnvironment,
  type ToolContext,
  tool,
} from "agentos-ts";
import * as z from "zod";

interface Cart {
  items: string[];
}

const orders = [{ id: "A-17", owner: "sarah@acme.com", status: "on its way", arrives: "Friday" }];

const findOrder = tool({
  name: "find_order",
  description: "Finds an order of the user by its number.",
  inputSchema: z.object({ orderId: z.string().describe("Such as A-17") }),
  execute: ({ orderId }, { userId }) => {
    const order = orders.find(({ id, owner }) => id === orderId && owner === userId);
    // The model is told what went wrong, and the run goes on.
    if (!order) throw new Error(`The user has no order ${orderId}.`);
    return order;
  },
});

const addToCart = tool({
  name: "add_to_cart",
  description: "Puts something into the user's cart.",
  inputSchema: z.object({ item: z.string(), count: z.int().min(1).default(1) }),
  execute: ({ item, count }, { sessionState }: ToolContext<Cart>) => {
    // What a tool changes in the state is stored with the run, and there in the next one of the session.
    for (let i = 0; i < count; i++) sessionState.items.push(item);
    return `The cart holds: ${sessionState.items.join(", ")}`;
  },
});

const shop = new Agent({
  id: "shop",
  instructions: ({ sessionState }) =>
    `You help customers of a shop. The cart holds: ${sessionState.items.join(", ") || "nothing"}.`,
  model: modelFromEnvironment(),
  db: databaseFromEnvironment(),
  tools: [findOrder, addToCart],
  sessionState: { items: [] } as Cart,
  addHistoryToContext: true,
});

await new AgentOS({ agents: [shop] }).serve();
