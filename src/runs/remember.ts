import type { AgentDefinition } from "../agent/definition.ts";
import { rememberExchange } from "../agent/memory/extract.ts";
import type { UserMemories } from "../agent/memory/user-memories.ts";
import type { MemorySource } from "../db/memories.ts";
import type { Store } from "../db/store.ts";
import type { Run } from "../events/run.ts";
import type { RunTelemetry } from "../telemetry/telemetry.ts";
import type { AfterRun } from "./after-run.ts";

/** What is remembered of a run's user; undefined where the agent does not remember, or the run has no user. */
export function userMemories(
  agent: AgentDefinition,
  run: Pick<Run, "run_id" | "session_id" | "user_id" | "input">,
  store: Store,
): UserMemories | undefined {
  const { user_id: userId } = run;
  if (!agent.memory || userId === undefined) return undefined;
  const { budget } = agent.memory;
  const message = run.input.input_content;
  const source: MemorySource = {
    agentId: agent.id,
    runId: run.run_id,
    sessionId: run.session_id,
    input: message,
  };
  return {
    relevant: () => store.memories.relevant({ userId, message, budget }),
    apply: (operations) => store.memories.apply(userId, operations, source),
  };
}

/** Looks for what is worth remembering of a run that completed, where its agent remembers after its runs. */
export function rememberRun(
  afterRun: AfterRun,
  {
    agent,
    run,
    store,
    telemetry,
  }: { agent: AgentDefinition; run: Run; store: Store; telemetry: RunTelemetry | undefined },
): void {
  const memories = userMemories(agent, run, store);
  if (!memories || agent.memory?.agentic !== false) return;
  afterRun.add(`user ${run.user_id}`, "remembering", run, telemetry, (asking) =>
    rememberExchange(agent.model, memories, run.messages, asking),
  );
}
