import { appendFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { Agent, AgentOS, databaseFromEnvironment, OpenAIResponses, tool } from "agentos-ts";
import * as z from "zod";
import { loadForRuns } from "../load-for-runs.ts";

/**
 * The app of the fault tests. Its tool writes down when it begins and ends, in a file that outlives the process.
 * `CHAOS_VERSION=2` is a later version of the agent: one tool more, one less.
 */

const record = (line: object) =>
  appendFileSync(
    process.env["CHAOS_RECORD"]!,
    `${JSON.stringify({ pid: process.pid, at: Date.now(), ...line })}\n`,
  );

const effect = tool({
  name: "effect",
  description: "Has an effect.",
  inputSchema: z.object({ ms: z.number() }),
  async execute({ ms }, { runId, toolCallId }) {
    record({ run: runId, call: toolCallId, phase: "begin" });
    if (ms > 0) await wait(ms);
    record({ run: runId, call: toolCallId, phase: "end" });
    return `done ${toolCallId}`;
  },
});

const die = tool({
  name: "die",
  description: "Kills its server.",
  inputSchema: z.object({ ms: z.number() }),
  async execute({ ms }, { runId, toolCallId }) {
    record({ run: runId, call: toolCallId, phase: "begin" });
    await wait(ms);
    process.kill(process.pid, "SIGKILL");
  },
});

const other = tool({
  name: process.env["CHAOS_VERSION"] === "2" ? "fresh" : "old",
  description: "Is there in one version only.",
  inputSchema: z.object({}),
  execute: () => "there",
});

const db = databaseFromEnvironment();
const agent = new Agent({
  id: "copilot",
  model: new OpenAIResponses({ id: "gpt-5.5", apiKey: "chaos", baseUrl: process.env["OPENAI_BASE_URL"]! }),
  db,
  addHistoryToContext: true,
  retries: 5,
  tools: [effect, die, other],
});

const lease = Number(process.env["TEST_LEASE"]);

await loadForRuns();

await new AgentOS({
  agents: [agent],
  drainTimeout: 10,
  lease: { lease, beat: lease / 4, sweep: lease / 5 },
  queue: { concurrency: 8 },
}).serve();
