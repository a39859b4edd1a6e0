export type { RunOptions } from "./agent/agent.ts";
export type { ContinueOptions } from "./agent/continue-options.ts";
export type { Decision } from "./agent/decisions.ts";
export type { AgentOptions, Instructions, InstructionsContext } from "./agent/definition.ts";
export type { RunResult, RunResultMetrics, RunResultToolCall } from "./agent/result.ts";
export { type Tool, type ToolContext, type ToolOptions, tool } from "./agent/tool.ts";
export { Agent } from "./agent.ts";
export type { Database } from "./db/database.ts";
export type { MemoryOperation, StoredMemory } from "./db/memories.ts";
export { PostgresDb, type PostgresDbOptions } from "./db/postgres/postgres-db.ts";
export type { Principal } from "./db/principal.ts";
export { SqliteDb, type SqliteDbOptions } from "./db/sqlite/sqlite-db.ts";
export * from "./errors.ts";
export { fold } from "./events/fold.ts";
export type { JsonObject, JsonValue } from "./events/json.ts";
export type { MemoryChange } from "./events/memories.ts";
export type { MediaReference, Message, MessageMetrics, MessageToolCall } from "./events/messages.ts";
export type { ModelUsage, RunMetrics, TokenUsage } from "./events/metrics.ts";
export { isWaiting, type Requirement } from "./events/requirements.ts";
export type { FoldedRun, Run, RunInput, RunStatus } from "./events/run.ts";
export type { RunEvent, RunEventBody, RunEventEnvelope } from "./events/run-events.ts";
export type { ToolExecution, UserInputField } from "./events/tool-execution.ts";
export { databaseFromEnvironment, modelFromEnvironment } from "./from-environment.ts";
export type { Algorithm, AuthorizationOptions, ClaimNames } from "./http/auth/options.ts";
export { requireScope } from "./http/auth/require-scope.ts";
export { principalOf } from "./http/served.ts";
export type { UsageLimits, UsageOptions } from "./http/usage/options.ts";
export type { AiSdkModel } from "./models/ai-sdk.ts";
export { EchoModel } from "./models/echo.ts";
export type {
  Attachment,
  Model,
  ModelEvent,
  ModelMessage,
  ModelRequest,
  ToolDefinition,
} from "./models/model.ts";
export { OpenAIResponses } from "./models/openai-responses.ts";
export { AgentOS } from "./os.ts";
export type { AgentOSOptions, AnyAgent } from "./os-options.ts";
export type { LogWriterOptions } from "./runs/log-writer.ts";
export type { RunningServer, ServeOptions } from "./serve.ts";
export type { ContentKind, ContentSource } from "./telemetry/content.ts";
export type { ModelPrice, Prices } from "./telemetry/prices.ts";
export { AgentSpanProcessor } from "./telemetry/span-sink.ts";
export type { TraceOptions } from "./telemetry/telemetry.ts";
