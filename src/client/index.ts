/** The client of an AgentOS, for Node and browsers. It needs nothing but `fetch`. */
export { fold } from "../events/fold.ts";
export type { JsonObject, JsonValue } from "../events/json.ts";
export type { MemoryChange } from "../events/memories.ts";
export type { MediaReference, Message, MessageMetrics, MessageToolCall } from "../events/messages.ts";
export type { ModelUsage, RunMetrics, TokenUsage } from "../events/metrics.ts";
export type { Requirement } from "../events/requirements.ts";
export type { FoldedRun, RunStatus } from "../events/run.ts";
export type { RunEvent, RunEventBody, RunEventEnvelope } from "../events/run-events.ts";
export type { ToolExecution, UserInputField } from "../events/tool-execution.ts";
export type { Agents, StreamOptions } from "./agents.ts";
export type * from "./answers.ts";
export type * from "./awaited.ts";
export { AgentOSClient } from "./client.ts";
export * from "./errors.ts";
export type { Media } from "./media.ts";
export type { Memories, MemoryListOptions, MemoryOptions } from "./memories.ts";
export type { MetricDays, MetricsOptions } from "./metrics.ts";
export type { CallOptions, ClientOptions } from "./options.ts";
export type { PageOptions } from "./page.ts";
export type { OnBusy, RunOptions } from "./run-fields.ts";
export type { RunStream } from "./run-stream.ts";
export type {
  ContinueOptions,
  RunListOptions,
  RunPage,
  RunRefOptions,
  Runs,
  ToolDecision,
} from "./runs.ts";
export type { NewServiceAccountOptions, ServiceAccounts } from "./service-accounts.ts";
export type {
  NewSessionOptions,
  SessionChange,
  SessionListOptions,
  SessionRunListOptions,
  Sessions,
  UserOptions,
} from "./sessions.ts";
export type { AuditLogOptions, System } from "./system.ts";
export type { TokenSource } from "./token.ts";
export type { TraceFilter, TraceListOptions, TraceStatsOptions, Traces } from "./traces.ts";
export type { ExportedEntry, Users } from "./users.ts";
