import type { RunRequest } from "../agent/runner.ts";
import type { SessionStart } from "../db/records.ts";
import type { JsonObject } from "../events/json.ts";

/** What a run needs beside its row and its messages to go on from a checkpoint, as it is stored with it. */
export interface RunCheckpoint extends Omit<KeptContext, "state"> {
  /** Of this shape. A later version of the package knows the earlier ones. */
  version: 1;
  /** The session's state as the run's tools have left it. */
  session_state: JsonObject;
  /** Milliseconds that the run was under way: its time limit leaves pauses out. */
  active_ms: number;
  /** Of those, how many before its first text or tool call. */
  first_token_ms?: number;
  /** Ids of calls that had begun, and whose results are not known. */
  begun: string[];
}

/** What stays the same from one checkpoint of a run to the next, but for the state, which tools change in place. */
export interface KeptContext {
  state: JsonObject;
  /** The session's state as the run began with it: what the run changed is told by the two. */
  session_before: JsonObject;
  /** The `order` of the run when it began: its history is runs before that. Absent where that is its row's. */
  history_before?: number;
  /** The `order` of the last run that the session's summary told then: its history is runs after that. */
  history_after: number;
  stream: boolean;
  dependencies?: JsonObject;
  /** What its caller could do. */
  scopes?: readonly string[];
  /** JSON schema of the answer, where it is the run's own and not the agent's. */
  output_schema?: JsonObject;
  /** The run whose place this one takes once it has completed. */
  replaces?: string;
}

/** What a checkpoint keeps of how a run was started. */
export function keptOf(
  request: RunRequest,
  session: SessionStart,
  state: JsonObject,
  historyBefore: number | undefined,
  replacesBefore: string | undefined,
): KeptContext {
  const replaces = request.origin?.replaces ? request.origin.runId : replacesBefore;
  return {
    state,
    session_before: session.state,
    ...(historyBefore !== undefined && { history_before: historyBefore }),
    history_after: session.compactedUntil ?? 0,
    stream: request.stream,
    ...(request.dependencies && { dependencies: request.dependencies }),
    ...(request.scopes && { scopes: request.scopes }),
    ...(request.output && { output_schema: request.output.schema }),
    ...(replaces !== undefined && { replaces }),
  };
}

/** Whether a value can be stored: a caller or a tool may have put anything into it. */
export function isJson(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}
