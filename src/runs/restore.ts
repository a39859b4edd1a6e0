import type { AgentDefinition } from "../agent/definition.ts";
import type { RunRequest } from "../agent/runner.ts";
import { foldOf, lineageOf } from "../db/queries/rows.ts";
import type { RunRow } from "../db/queue.ts";
import type { SessionStart } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import type { RunProgress } from "../db/stores/run-progress.ts";
import { emptyFold } from "../events/fold.ts";
import type { JsonObject } from "../events/json.ts";
import type { RunInput } from "../events/run.ts";
import type { RunCheckpoint } from "./checkpoint.ts";
import { LiveRun, type RunIdentity } from "./live-run.ts";
import type { LogWriter } from "./log-writer.ts";
import { optionsOf } from "./stored-request.ts";

/** Who goes on with a run. */
export interface RestoreContext {
  agent: AgentDefinition;
  /** The run's attempt from now on: the row has it already. */
  attempt: number;
  store: Store;
  writer: LogWriter;
  /** What the run was started with. Needed where it has come to no checkpoint yet: then it begins anew. */
  start?: { request: RunRequest; session: SessionStart };
}

/** A run that was taken up again, and what sees it to its end. */
export interface RestoredRun {
  run: LiveRun;
  request: RunRequest;
  session: SessionStart;
  checkpoint: RunCheckpoint | undefined;
}

/**
 * Makes of what is stored of a run one that goes on here, from its last checkpoint: after a pause, or after its process was
 * lost. Its numbering goes on. What was stored after the checkpoint is taken back by the first event, `RunRecovered`.
 *
 * @param progress - as it is stored; the run must be this process's already
 */
export function restore(progress: RunProgress, context: RestoreContext): RestoredRun {
  const { row, messages, lastIndex } = progress;
  const { agent, attempt, store, writer } = context;
  const checkpoint = checkpointOf(row);
  const started = checkpoint ? startOf(progress, checkpoint, agent) : context.start;
  if (!started) throw new Error(`The run ${row.run_id} has no checkpoint to go on from.`);
  const run = new LiveRun(identityOf(row, agent, attempt), store, writer, {
    fold: checkpoint ? { ...foldOf(row), status: "running" } : emptyFold(),
    messages: [...messages],
    nextIndex: lastIndex + 1,
    begun: [...(checkpoint?.begun ?? []), ...progress.begun],
    activeBefore: checkpoint?.active_ms ?? 0,
    firstTokenAfter: checkpoint?.first_token_ms,
  });
  if (lastIndex > row.checkpoint_index) {
    run.append({ event: "RunRecovered", attempt, discard_from_index: row.checkpoint_index + 1 });
  }
  return { run, ...started, checkpoint };
}

/** What a stored run is from its first moment on, for whoever goes on with it. */
export function identityOf(row: RunRow, agent: AgentDefinition, attempt: number): RunIdentity {
  return {
    runId: row.run_id,
    sessionId: row.session_id,
    agentId: agent.id,
    agentName: agent.name,
    userId: row.user_id ?? undefined,
    attempt,
    background: row.background === 1,
    input: JSON.parse(row.input) as RunInput,
    metadata: JSON.parse(row.metadata) as JsonObject,
    createdAt: row.created_at,
    lineage: lineageOf(row),
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
  };
}

/** The checkpoint of a run, where it has come to one. */
export function checkpointOf({ checkpoint }: RunProgress["row"]): RunCheckpoint | undefined {
  return checkpoint === null ? undefined : (JSON.parse(checkpoint) as RunCheckpoint);
}

/**
 * What a run was started with, as its checkpoint tells it.
 *
 * @throws when it cannot be gone on with here
 */
export function startOf(
  { row, sessionNamed }: RunProgress,
  checkpoint: RunCheckpoint,
  agent: AgentDefinition,
): { request: RunRequest; session: SessionStart } {
  const { input_content: message } = JSON.parse(row.input) as RunInput;
  return {
    request: {
      agent,
      message,
      sessionId: row.session_id,
      ...optionsOf(checkpoint),
      ...(row.user_id !== null && { userId: row.user_id }),
    },
    session: {
      isNew: false,
      state: checkpoint.session_before,
      named: sessionNamed,
      // Its system prompt is made already.
      summary: null,
      compactedUntil: checkpoint.history_after,
    },
  };
}
