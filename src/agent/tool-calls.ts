import * as z from "zod";
import { isJsonObject } from "../events/json.ts";
import type { MemoryChange } from "../events/memories.ts";
import type { MessageToolCall } from "../events/messages.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import type { LoopContext, LoopStep } from "./loop-context.ts";
import { memoryTool, memoryToolName } from "./memory/tool.ts";
import { newMessage } from "./prompt.ts";
import type { Tool } from "./tool.ts";

interface Outcome {
  call: MessageToolCall;
  tool: ToolExecution;
  /** What it changed of what is remembered; undefined where that is not what it is for. */
  memories: MemoryChange[] | undefined;
}

/**
 * Runs the calls of one turn side by side. Each gives its end as soon as it has one, and a checkpoint with it.
 *
 * @param callsLeft - how many of them may run; the others are answered with an error
 */
export async function* runTools(
  context: LoopContext,
  calls: readonly MessageToolCall[],
  callsLeft: number,
): AsyncGenerator<LoopStep, void, void> {
  const running = new Map<MessageToolCall, Promise<Outcome>>();
  for (const [at, call] of calls.entries()) {
    const tool = started(call);
    yield { event: "ToolCallStarted", tool };
    const refusal =
      at < callsLeft ? undefined : "Error: The limit of tool calls is reached. Answer with what is known.";
    const memories = refusal === undefined && isMemoryCall(context, call) ? [] : undefined;
    if (memories) yield { event: "MemoryUpdateStarted" };
    running.set(call, execute(context, call, { tool, refusal, memories }));
  }
  while (running.size > 0) {
    const { call, tool, memories } = await Promise.race(running.values());
    running.delete(call);
    if (memories) yield { event: "MemoryUpdateCompleted", memories };
    const seconds = tool.metrics?.duration.toFixed(4);
    yield { event: "ToolCallCompleted", content: `${tool.tool_name}() completed in ${seconds}s. `, tool };
    if (tool.tool_call_error) yield { event: "ToolCallError", error: tool.result ?? "", tool };
    context.messages.push(
      newMessage("tool", {
        content: tool.result ?? "",
        tool_call_id: call.call_id,
        tool_name: tool.tool_name,
        tool_args: tool.tool_args,
        tool_call_error: tool.tool_call_error === true,
        ...(tool.metrics && {
          metrics: { input_tokens: 0, output_tokens: 0, total_tokens: 0, duration: tool.metrics.duration },
        }),
      }),
    );
    yield { event: "Checkpoint" };
  }
}

function started(call: MessageToolCall): ToolExecution {
  const args = parsed(call.function.arguments);
  return {
    tool_call_id: call.id,
    tool_name: call.function.name,
    tool_args: isJsonObject(args) ? args : {},
    tool_call_error: null,
    result: null,
    metrics: null,
    stop_after_tool_call: false,
    created_at: Math.floor(Date.now() / 1000),
  };
}

async function execute(
  context: LoopContext,
  call: MessageToolCall,
  { tool, refusal, memories }: Omit<Outcome, "call"> & { refusal: string | undefined },
): Promise<Outcome> {
  const start = Date.now() / 1000;
  const clock = performance.now();
  let result: string;
  let failed = false;
  try {
    result = refusal ?? (await invoke(context, call, memories));
    failed = refusal !== undefined;
  } catch (error) {
    // The model is the one to deal with a tool that fails: it gets the message, and the run goes on.
    result = error instanceof Error ? error.message : String(error);
    failed = true;
  }
  const duration = (performance.now() - clock) / 1000;
  return {
    call,
    memories,
    tool: {
      ...tool,
      tool_call_error: failed,
      result,
      metrics: { start_time: start, end_time: start + duration, duration },
    },
  };
}

/** Whether a call is for the tool that changes memories, which the agent has itself. */
function isMemoryCall({ agent, memories }: LoopContext, call: MessageToolCall): boolean {
  return agent.memory?.agentic === true && memories !== undefined && call.function.name === memoryToolName;
}

async function invoke(
  context: LoopContext,
  call: MessageToolCall,
  changes: MemoryChange[] | undefined,
): Promise<string> {
  const tool: Tool | undefined =
    context.memories && changes
      ? memoryTool(context.memories, changes)
      : context.agent.tools.find(({ name }) => name === call.function.name);
  if (!tool) throw new Error("Error: The requested tool does not exist or is not available.");
  const args = parsed(call.function.arguments);
  if (args === undefined)
    throw new Error("Error: The arguments are not valid JSON. Call the tool again with a JSON object.");
  const input = await tool.inputSchema.safeParseAsync(args);
  if (!input.success) {
    throw new Error(`Error: The arguments do not fit the tool's schema. ${z.prettifyError(input.error)}`);
  }
  const result = await tool.execute(input.data, {
    runId: context.runId,
    sessionId: context.sessionId,
    agentId: context.agent.id,
    ...(context.userId === undefined ? {} : { userId: context.userId }),
    scopes: context.scopes,
    toolCallId: call.id,
    sessionState: context.sessionState,
    dependencies: context.dependencies,
    metadata: context.metadata,
    signal: context.signal,
  });
  return asText(result);
}

/** Undefined where the text is no JSON. No text at all counts as an empty object: some models send that. */
function parsed(text: string): unknown {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asText(result: unknown): string {
  if (typeof result === "string") return result;
  return JSON.stringify(result) ?? "";
}
