import type { JsonObject, JsonValue } from "./json.ts";
import type { MemoryChange } from "./memories.ts";
import type { FinishReason } from "./messages.ts";
import type { RunMetrics, TokenUsage } from "./metrics.ts";
import type { Requirement } from "./requirements.ts";
import type { ToolExecution } from "./tool-execution.ts";

/** What stands in every event of a run, whoever sends it. */
export interface RunEventEnvelope {
  /** Unix time in seconds. */
  created_at: number;
  agent_id: string;
  agent_name?: string;
  run_id: string;
  session_id: string;
  /** Place in the run's log: from 0, without gaps. */
  event_index: number;
}

interface ModelIdentity {
  model: string;
  model_provider: string;
}

/** The first event of every run. */
export interface RunStarted extends ModelIdentity {
  event: "RunStarted";
}

/** A model turn begins. */
export interface ModelRequestStarted extends ModelIdentity {
  event: "ModelRequestStarted";
}

/** A piece of the answer. */
export interface RunContent {
  event: "RunContent";
  content: string;
  content_type: "str";
}

/** The model begins to show what it thinks. */
export interface ReasoningStarted {
  event: "ReasoningStarted";
}

/** A piece of what the model shows of its reasoning. */
export interface ReasoningContentDelta {
  event: "ReasoningContentDelta";
  reasoning_content: string;
}

/** The model has shown what it thought in this turn. */
export interface ReasoningCompleted {
  event: "ReasoningCompleted";
  reasoning_content: string;
}

/** A model turn has ended; tokens are those of the turn, the time is in seconds. */
export interface ModelRequestCompleted extends ModelIdentity, TokenUsage {
  event: "ModelRequestCompleted";
  /** Why it ended: `length` where its text was cut off. */
  finish_reason?: FinishReason;
  time_to_first_token?: number;
}

/** A tool is about to run. */
export interface ToolCallStarted {
  event: "ToolCallStarted";
  tool: ToolExecution;
}

/** A tool has run, well or not: `tool.tool_call_error` tells. */
export interface ToolCallCompleted {
  event: "ToolCallCompleted";
  /** One line for a reader: which tool, how long. */
  content: string;
  tool: ToolExecution;
}

/** Follows the `ToolCallCompleted` of a call that failed. */
export interface ToolCallError {
  event: "ToolCallError";
  error: string;
  tool: ToolExecution;
}

/** What is remembered of the user is about to change: the agent's tool for it was called. */
export interface MemoryUpdateStarted {
  event: "MemoryUpdateStarted";
}

/** The change is made, before the tool's own end. */
export interface MemoryUpdateCompleted {
  event: "MemoryUpdateCompleted";
  /** What was changed; empty where the call failed. */
  memories: MemoryChange[];
}

/** The answer is whole; what follows is the end of the run. */
export interface RunContentCompleted {
  event: "RunContentCompleted";
}

/** The run has ended well. */
export interface RunCompleted {
  event: "RunCompleted";
  /** The whole answer: text, or the object of a run with an output schema. */
  content: JsonValue;
  /** `str`, or the title of the output schema. */
  content_type: string;
  reasoning_content?: string;
  session_state: JsonObject;
  metrics: RunMetrics;
}

/** The run has failed; `content` is the reason, for whoever reads it. */
export interface RunError {
  event: "RunError";
  content: string;
  /** The `code` of the error. */
  error_type: string;
  session_state: JsonObject;
  metrics: RunMetrics;
}

/** The run was cancelled; `content` is what was said until then. */
export interface RunCancelled {
  event: "RunCancelled";
  content: string;
  reason: string;
  session_state: JsonObject;
  metrics: RunMetrics;
}

/** The run waits for people, for as long as they take: no event follows before it is continued. */
export interface RunPaused {
  event: "RunPaused";
  /** What was said until then. */
  content: string;
  /** The calls that wait. */
  tools: ToolExecution[];
  requirements: Requirement[];
  session_state: JsonObject;
  metrics: RunMetrics;
}

/** The run goes on after a pause. */
export interface RunContinued {
  event: "RunContinued";
  /** The calls that waited, with what was decided. */
  tools: ToolExecution[];
}

/**
 * The run goes on after its server was lost, from its last checkpoint: the events from `discard_from_index` up to this one
 * are taken back, and come anew.
 */
export interface RunRecovered {
  event: "RunRecovered";
  /** How often the run was begun or taken up, with this time. */
  attempt: number;
  discard_from_index: number;
}

/** An event as the agent loop makes it, before the log gives it its place. */
export type RunEventBody =
  | RunStarted
  | ModelRequestStarted
  | RunContent
  | ReasoningStarted
  | ReasoningContentDelta
  | ReasoningCompleted
  | ModelRequestCompleted
  | ToolCallStarted
  | ToolCallCompleted
  | ToolCallError
  | MemoryUpdateStarted
  | MemoryUpdateCompleted
  | RunContentCompleted
  | RunPaused
  | RunContinued
  | RunRecovered
  | TerminalEventBody;

/** An event after which no other comes. */
export type TerminalEventBody = RunCompleted | RunError | RunCancelled;

/**
 * An event of a run, as it is on the wire and in the log: `event` tells which.
 *
 * @example
 * for await (const event of agent.stream("Hello")) {
 *   if (event.event === "RunContent") process.stdout.write(event.content);
 * }
 */
export type RunEvent = RunEventBody & RunEventEnvelope;
