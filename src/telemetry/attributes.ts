/**
 * Names of span attributes: those of OpenTelemetry's conventions for generative AI, and what these have no name for.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/
 */
export const attributes = {
  operation: "gen_ai.operation.name",
  provider: "gen_ai.provider.name",
  agentId: "gen_ai.agent.id",
  agentName: "gen_ai.agent.name",
  conversation: "gen_ai.conversation.id",
  requestModel: "gen_ai.request.model",
  requestStream: "gen_ai.request.stream",
  finishReasons: "gen_ai.response.finish_reasons",
  timeToFirstChunk: "gen_ai.response.time_to_first_chunk",
  outputType: "gen_ai.output.type",
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  cacheReadTokens: "gen_ai.usage.cache_read.input_tokens",
  cacheWriteTokens: "gen_ai.usage.cache_creation.input_tokens",
  reasoningTokens: "gen_ai.usage.reasoning.output_tokens",
  inputMessages: "gen_ai.input.messages",
  outputMessages: "gen_ai.output.messages",
  toolName: "gen_ai.tool.name",
  toolType: "gen_ai.tool.type",
  toolCallId: "gen_ai.tool.call.id",
  toolArguments: "gen_ai.tool.call.arguments",
  toolResult: "gen_ai.tool.call.result",
  errorType: "error.type",
  userId: "user.id",
  /** `run_…`; on every span of ours. */
  runId: "agentos.run.id",
  /** How the run stood when its span ended. */
  runStatus: "agentos.run.status",
  /** 2 and more where another process took the run over. */
  attempt: "agentos.run.attempt",
  /** Seconds from the start of the run to the model's first word or tool call. */
  timeToFirstToken: "agentos.run.time_to_first_token",
  /** In the currency of the server's prices. */
  cost: "agentos.cost",
  memoryChanges: "agentos.memory.changes",
} as const;

/** What `gen_ai.operation.name` says of our spans. `queue` and `update_memory` are our own. */
export const operations = {
  agent: "invoke_agent",
  chat: "chat",
  tool: "execute_tool",
  memory: "update_memory",
  queue: "queue",
} as const;
