import type { AgentDefinition } from "../agent/definition.ts";
import type { ContinueRequest } from "../agent/runner.ts";
import type { Store } from "../db/store.ts";
import { ConflictError, NotFoundError } from "../errors.ts";
import { optionsOf, storedOf } from "./stored-request.ts";

/**
 * What makes a new run of a background run that failed: it goes on where that one did, with what it was started with.
 *
 * @param agents - those that are served, by id
 * @throws {NotFoundError} when there is no such background run
 * @throws {ConflictError} when it has not failed, or its agent is not served
 */
export async function requeueOf(
  runId: string,
  store: Store,
  agents: ReadonlyMap<string, AgentDefinition>,
): Promise<ContinueRequest> {
  const row = (await store.progress.get(runId))?.row;
  if (!row || row.background === 0) throw new NotFoundError("Job not found");
  if (row.status !== "error") {
    throw new ConflictError(`The run is ${row.status}: only one that failed can be queued again.`);
  }
  const agent = agents.get(row.agent_id);
  if (!agent) throw new ConflictError(`The agent "${row.agent_id}" is not served here.`);
  const { scopes, ...asked } = optionsOf(storedOf(row));
  return {
    agent,
    runId,
    decisionsAt: [],
    continueFrom: "end",
    fork: false,
    regenerate: false,
    ...asked,
    // Whoever has it done again lends it none of its own rights.
    ...(scopes && { ofCaller: { scopes } }),
  };
}
