import { appendFileSync, readFileSync } from "node:fs";
import { Agent, AgentOS, databaseFromEnvironment, tool } from "agentos-ts";
import * as z from "zod";
import { WrittenModel } from "./written-model.ts";

/**
 * An app whose tools do not return the first time that they are called: a test kills it then. Each call is noted in the file
 * that `TEST_CALLS` names, as `tool call-id`.
 */

const file = process.env["TEST_CALLS"]!;
const lease = Number(process.env["TEST_LEASE"] ?? 10_000);

const interrupted = (onUnknownResult: "repeat" | "fail" | "ask") =>
  tool({
    name: onUnknownResult,
    description: "Does not return the first time.",
    inputSchema: z.object({}),
    onUnknownResult,
    execute: (_input, { toolCallId }) => {
      const line = `${onUnknownResult} ${toolCallId}\n`;
      appendFileSync(file, line);
      const calls = readFileSync(file, "utf8")
        .split("\n")
        .filter((known) => `${known}\n` === line);
      return calls.length > 1 ? "returned" : new Promise(() => undefined);
    },
  });

const quick = tool({
  name: "quick",
  description: "Returns at once.",
  inputSchema: z.object({}),
  execute: (_input, { toolCallId }) => {
    appendFileSync(file, `quick ${toolCallId}\n`);
    return "quick";
  },
});

const careful = tool({
  name: "careful",
  description: "Is made once it is allowed.",
  inputSchema: z.object({}),
  requiresConfirmation: true,
  execute: () => "allowed",
});

const db = databaseFromEnvironment();

const agents = (["repeat", "fail", "ask"] as const).map(
  (name) =>
    new Agent({
      id: name,
      model: new WrittenModel([{ name: "quick" }, { name }], "Done."),
      db,
      tools: [interrupted(name), quick],
    }),
);

/** Waits for people, and then does not return the first time. */
const waiting = new Agent({
  id: "waiting",
  model: new WrittenModel([{ name: "careful" }], [{ name: "repeat" }], "Done."),
  db,
  tools: [careful, interrupted("repeat")],
});

await new AgentOS({
  agents: [...agents, waiting],
  lease: { lease, beat: lease / 4, sweep: lease / 4 },
}).serve();
