import type { Selectable } from "kysely";
import type { JsonObject, JsonValue } from "../../events/json.ts";
import type { Message } from "../../events/messages.ts";
import type { RunMetrics } from "../../events/metrics.ts";
import type { Requirement } from "../../events/requirements.ts";
import type { FoldedRun, Run, RunInput, RunLineage, RunStatus } from "../../events/run.ts";
import type { ToolExecution } from "../../events/tool-execution.ts";
import type { RunSnapshot } from "../records.ts";
import type { Tables } from "../schema.ts";

/** What a checkpoint or an end writes into a run's row. */
export interface SnapshotColumns {
  status: string;
  checkpoint_index: number;
  content: string;
  content_type: string;
  reasoning_content: string;
  tools: string;
  /** Null where there is none: that is most runs. */
  requirements: string | null;
  pause_id: string | null;
  checkpoint: string | null;
  session_state: string;
  metrics: string;
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  reasoning_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  cost: number | null;
  error: string | null;
  updated_at: number;
  ended_at: number | null;
}

/** A fold as the columns of a run's row. */
export function snapshotColumns({ fold, ended, at, checkpoint, pauseId }: RunSnapshot): SnapshotColumns {
  return {
    status: fold.status,
    checkpoint_index: fold.last_event_index,
    content: JSON.stringify(fold.content),
    content_type: fold.content_type,
    reasoning_content: JSON.stringify(fold.reasoning_content),
    tools: JSON.stringify(fold.tools),
    requirements: fold.requirements.length > 0 ? JSON.stringify(fold.requirements) : null,
    pause_id: pauseId ?? null,
    checkpoint: checkpoint ?? null,
    session_state: JSON.stringify(fold.session_state),
    metrics: JSON.stringify(fold.metrics),
    input_tokens: fold.metrics.input_tokens,
    output_tokens: fold.metrics.output_tokens,
    total_tokens: fold.metrics.total_tokens,
    reasoning_tokens: fold.metrics.reasoning_tokens,
    cache_read_tokens: fold.metrics.cache_read_tokens,
    cache_write_tokens: fold.metrics.cache_write_tokens,
    cost: fold.metrics.cost ?? null,
    error: fold.error_type ?? null,
    updated_at: at,
    ended_at: ended ? at : null,
  };
}

/** What a run's row tells of its log: the fold as of the last checkpoint. */
export function foldOf(row: Selectable<Tables["runs"]>): FoldedRun {
  return {
    status: row.status as RunStatus,
    content: JSON.parse(row.content) as JsonValue,
    content_type: row.content_type,
    reasoning_content: JSON.parse(row.reasoning_content) as string,
    model: row.model,
    model_provider: row.model_provider,
    tools: JSON.parse(row.tools) as ToolExecution[],
    requirements: row.requirements === null ? [] : (JSON.parse(row.requirements) as Requirement[]),
    session_state: JSON.parse(row.session_state) as JsonObject,
    metrics: JSON.parse(row.metrics) as RunMetrics,
    last_event_index: row.checkpoint_index,
    ...(row.error === null ? {} : { error_type: row.error }),
  };
}

/** A run's row and messages as the run that is answered. */
export function runOf(row: Selectable<Tables["runs"]>, messages: Message[]): Run {
  return {
    ...foldOf(row),
    run_id: row.run_id,
    session_id: row.session_id,
    agent_id: row.agent_id,
    ...(row.user_id === null ? {} : { user_id: row.user_id }),
    ...(row.parent_run_id === null ? {} : { parent_run_id: row.parent_run_id }),
    ...lineageOf(row),
    input: JSON.parse(row.input) as RunInput,
    metadata: JSON.parse(row.metadata) as JsonObject,
    messages,
    created_at: Math.floor(row.created_at / 1000),
    updated_at: Math.floor(row.updated_at / 1000),
  };
}

/** Which run a run was made of, and which one took its place. */
export function lineageOf(row: Selectable<Tables["runs"]>): RunLineage {
  return {
    ...(row.forked_from_run_id === null ? {} : { forked_from_run_id: row.forked_from_run_id }),
    ...(row.forked_from_message_index === null
      ? {}
      : { forked_from_message_index: row.forked_from_message_index }),
    ...(row.regenerated_from === null ? {} : { regenerated_from: row.regenerated_from }),
    ...(row.superseded_by === null ? {} : { superseded_by: row.superseded_by }),
  };
}
