// What a user writes in plain JavaScript.
import { Agent, AgentOS, databaseFromEnvironment, EchoModel, tool } from "agentos-ts";
import * as z from "zod";

const add = tool({
  name: "add",
  description: "Adds.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  execute: ({ a, b }) => a + b,
});

const copilot = new Agent({
  id: "copilot",
  model: new EchoModel(),
  db: databaseFromEnvironment(),
  tools: [add],
});

await new AgentOS({ agents: [copilot] }).serve();
