// What a user writes in TypeScript. It is only checked.
import {
  Agent,
  AgentOS,
  type Database,
  OpenAIResponses,
  PostgresDb,
  type RunEvent,
  SqliteDb,
  type ToolContext,
  tool,
} from "agentos-ts";
import * as z from "zod";

interface Cart {
  items: string[];
}

const db: Database =
  process.env["NODE_ENV"] === "production" ? new PostgresDb({ url: "postgresql://db/ai" }) : new SqliteDb();

const addItem = tool({
  name: "add_item",
  description: "Adds to the cart.",
  inputSchema: z.object({ item: z.string() }),
  execute: ({ item }, { sessionState }: ToolContext<Cart>) => sessionState.items.push(item),
});

const copilot = new Agent({
  id: "copilot",
  model: new OpenAIResponses({ id: "gpt-5.5" }),
  db,
  tools: [addItem],
  outputSchema: z.object({ answer: z.string() }),
});

const app = new AgentOS({ agents: [copilot] }).getApp();
app.post("/webhooks/stripe", async (c) => {
  const event: unknown = await c.req.json();
  const run = await copilot.run(`Process Stripe event: ${JSON.stringify(event)}`, { userId: "system" });
  const answer: string = run.content.answer;
  const items: string[] = run.sessionState.items;
  // @ts-expect-error: the schema has no such field
  run.content.question;
  return c.json({ ok: true, answer, items });
});

export function text(event: RunEvent): string {
  return event.event === "RunContent" ? event.content : "";
}
