import { appendFileSync } from "node:fs";
import { Agent, AgentOS, databaseFromEnvironment, OpenAIResponses, tool } from "agentos-ts";
import * as z from "zod";

/** The app that the conformance runner asks: the same agents and tools as those of the recorded server. */

const db = databaseFromEnvironment();
const model = new OpenAIResponses({
  id: process.env["OPENAI_MODEL"] ?? "gpt-5.5",
  apiKey: process.env["OPENAI_API_KEY"] ?? "conformance",
  baseUrl: process.env["OPENAI_BASE_URL"] ?? "http://127.0.0.1:9099/v1",
});

const add = tool({
  name: "add",
  description: "Add two numbers.",
  inputSchema: z.object({ a: z.int(), b: z.int() }),
  execute: ({ a, b }) => String(a + b),
});

const boom = tool({
  name: "boom",
  description: "Always fails.",
  inputSchema: z.object({}),
  execute: () => {
    throw new Error("boom");
  },
});

const record = tool({
  name: "record",
  description: "Records a text.",
  inputSchema: z.object({ text: z.string() }),
  execute: ({ text }) => {
    const file = process.env["CONFORMANCE_RECORD"];
    if (file) appendFileSync(file, `${text}\n`);
    return "recorded";
  },
});

const wipe = tool({
  name: "wipe",
  description: "Wipe a path.",
  inputSchema: z.object({ path: z.string() }),
  requiresConfirmation: true,
  execute: ({ path }) => `wiped ${path}`,
});

const copilot = new Agent({
  id: "copilot",
  model,
  db,
  addHistoryToContext: true,
  enableAgenticMemory: true,
  tools: [add, boom, record],
});
const approver = new Agent({ id: "approver", model, db, addHistoryToContext: true, tools: [wipe] });

// Tests that kill servers do not wait for the usual lease.
const lease = Number(process.env["TEST_LEASE"] ?? 10_000);

await new AgentOS({
  agents: [copilot, approver],
  lease: { lease, beat: lease / 4, sweep: lease / 5 },
}).serve();
