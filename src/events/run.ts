import type { JsonObject, JsonValue } from "./json.ts";
import type { MediaReference, Message } from "./messages.ts";
import type { RunMetrics } from "./metrics.ts";
import type { Requirement } from "./requirements.ts";
import type { ToolExecution } from "./tool-execution.ts";

/** The states of a run. `completed`, `cancelled`, `error` and `regenerated` are ends. */
export const runStatuses = [
  "pending",
  "running",
  "paused",
  "completed",
  "cancelled",
  "error",
  "regenerated",
] as const;

/** Where a run stands. */
export type RunStatus = (typeof runStatuses)[number];

/** What a run was asked. */
export interface RunInput {
  input_content: string;
  files?: MediaReference[];
  images?: MediaReference[];
  audio?: MediaReference[];
}

/** What the log of a run tells: the fold of its events. */
export interface FoldedRun {
  status: RunStatus;
  content: JsonValue;
  content_type: string;
  reasoning_content: string;
  model: string;
  model_provider: string;
  tools: ToolExecution[];
  /** What people were asked for, with what they decided. */
  requirements: Requirement[];
  session_state: JsonObject;
  metrics: RunMetrics;
  /** Index of the last event that was folded; -1 before the first. */
  last_event_index: number;
  /** The `code` of the error that ended the run. */
  error_type?: string;
}

/** Which run a run was made of, and which one took its place. */
export interface RunLineage {
  /** The run that this one was made of, by a continue of an ended run. */
  forked_from_run_id?: string;
  /** How many messages of that run were taken along. */
  forked_from_message_index?: number;
  /** The run whose question this one answers again. */
  regenerated_from?: string;
  /** The run that took the place of this one. */
  superseded_by?: string;
}

/** A run as it is stored and answered. Times are Unix times in seconds. */
export interface Run extends FoldedRun, RunLineage {
  run_id: string;
  session_id: string;
  agent_id: string;
  agent_name?: string;
  user_id?: string;
  parent_run_id?: string;
  input: RunInput;
  metadata?: JsonObject;
  messages: Message[];
  created_at: number;
  updated_at: number;
}
