import { isJsonObject, type JsonObject } from "../events/json.ts";
import type { Message } from "../events/messages.ts";
import type { Run, RunInput, RunStatus } from "../events/run.ts";

/** What a run used. Tokens are counts, times are seconds. */
export interface RunResultMetrics {
  inputTokens: number;
  outputTokens: number;
  totalTokens: number;
  reasoningTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  timeToFirstToken?: number;
  duration?: number;
}

/** A tool call of a run. */
export interface RunResultToolCall {
  toolCallId: string;
  toolName: string;
  toolArgs: JsonObject;
  /** Whether the call failed; `result` is then the error. */
  failed: boolean;
  result: string | null;
}

/**
 * A run that ended well, as `agent.run()` gives it.
 *
 * @typeParam TOutput - the type of the agent's output schema; `string` without one
 */
export interface RunResult<TOutput = string, TState extends JsonObject = JsonObject> {
  runId: string;
  sessionId: string;
  userId?: string;
  agentId: string;
  status: RunStatus;
  content: TOutput;
  /** `str`, or the title of the output schema. */
  contentType: string;
  reasoningContent: string;
  model: string;
  modelProvider: string;
  sessionState: TState;
  metadata: JsonObject;
  metrics: RunResultMetrics;
  tools: RunResultToolCall[];
  /** The run's own messages, as they are on the wire. */
  messages: Message[];
  input: RunInput;
  createdAt: Date;
}

/** The stored run in the form of the library: camelCase, with the content's type. */
export function toRunResult<TOutput, TState extends JsonObject>(
  run: Run,
  content: TOutput,
): RunResult<TOutput, TState> {
  return {
    runId: run.run_id,
    sessionId: run.session_id,
    ...(run.user_id === undefined ? {} : { userId: run.user_id }),
    agentId: run.agent_id,
    status: run.status,
    content,
    contentType: run.content_type,
    reasoningContent: run.reasoning_content,
    model: run.model,
    modelProvider: run.model_provider,
    sessionState: run.session_state as TState,
    metadata: isJsonObject(run.metadata) ? run.metadata : {},
    metrics: {
      inputTokens: run.metrics.input_tokens,
      outputTokens: run.metrics.output_tokens,
      totalTokens: run.metrics.total_tokens,
      reasoningTokens: run.metrics.reasoning_tokens,
      cacheReadTokens: run.metrics.cache_read_tokens,
      cacheWriteTokens: run.metrics.cache_write_tokens,
      ...(run.metrics.time_to_first_token === undefined
        ? {}
        : { timeToFirstToken: run.metrics.time_to_first_token }),
      ...(run.metrics.duration === undefined ? {} : { duration: run.metrics.duration }),
    },
    tools: run.tools.map((tool) => ({
      toolCallId: tool.tool_call_id,
      toolName: tool.tool_name,
      toolArgs: tool.tool_args,
      failed: tool.tool_call_error === true,
      result: tool.result,
    })),
    messages: run.messages,
    input: run.input,
    createdAt: new Date(run.created_at * 1000),
  };
}
