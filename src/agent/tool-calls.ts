import type { MemoryChange } from "../events/memories.ts";
import type { MessageToolCall, OpenTurn } from "../events/messages.ts";
import type { RunEventBody } from "../events/run-events.ts";
import type { ToolExecution } from "../events/tool-execution.ts";
import type { ModelMessage } from "../models/model.ts";
import { invoke } from "./invoke.ts";
import type { LoopContext, LoopStep } from "./loop-context.ts";
import { memoryTool, memoryToolName } from "./memory/tool.ts";
import { newMessage } from "./prompt.ts";
import type { Tool } from "./tool.ts";
import { planFor, type ToolPlan } from "./tool-plan.ts";

/** The calls that a turn of the model asks for. */
export type CalledTurn = Pick<OpenTurn, "calls" | "answered">;

/** What came of a call. */
interface Outcome {
  call: MessageToolCall;
  tool: ToolExecution;
  /** One line for a reader. */
  summary: string;
  /** What it changed of what is remembered; undefined where that is not what it is for. */
  memories: MemoryChange[] | undefined;
}

/**
 * Runs the calls of one turn side by side. Each gives its end as soon as it has one, and a checkpoint with it.
 *
 * @param callsLeft - how many of them may run; the others are answered with an error
 * @param prompt - what the model is asked next: the outputs are added to it
 * @returns those that wait for people; the others have ended by then
 */
export async function* runTools(
  context: LoopContext,
  { calls, answered }: CalledTurn,
  callsLeft: number,
  prompt: ModelMessage[],
): AsyncGenerator<LoopStep, ToolExecution[], void> {
  const waiting: ToolExecution[] = [];
  const ready: (() => Promise<Outcome>)[] = [];
  let begins = false;
  for (const [at, call] of calls.entries()) {
    if (answered.has(call.call_id)) continue;
    const memories = isMemoryCall(context, call) ? [] : undefined;
    const definition = definitionOf(context, call, memories);
    const plan = await planFor(context, call, definition, at < callsLeft);
    if (plan.kind === "wait") {
      waiting.push(plan.tool);
      continue;
    }
    if (plan.kind === "run" || plan.began) yield { event: "ToolCallStarted", tool: plan.tool };
    if (plan.kind === "run") {
      if (memories) yield { event: "MemoryUpdateStarted" };
      begins = true;
      ready.push(() => execute(context, call, definition, plan, memories));
    } else ready.push(() => Promise.resolve(told(call, plan)));
  }
  if (begins) yield { event: "Barrier" };
  const running = new Map(ready.map((start, i) => [i, start().then((outcome) => ({ i, outcome }))]));
  while (running.size > 0) {
    const { i, outcome } = await Promise.race(running.values());
    running.delete(i);
    yield* ended(context, outcome, prompt);
  }
  return waiting;
}

/** The end of a call: what is told to readers, and to the model. */
function* ended(
  context: LoopContext,
  { call, tool, summary, memories }: Outcome,
  prompt: ModelMessage[],
): Generator<LoopStep, void, void> {
  const message = newMessage("tool", {
    content: tool.result ?? "",
    tool_call_id: call.call_id,
    tool_name: tool.tool_name,
    tool_args: tool.tool_args,
    tool_call_error: tool.tool_call_error === true,
    ...(tool.metrics && {
      metrics: { input_tokens: 0, output_tokens: 0, total_tokens: 0, duration: tool.metrics.duration },
    }),
  });
  context.messages.push(message);
  prompt.push(message);
  // Stored without its checkpoint, a result would be taken back, and the call made again.
  const events: RunEventBody[] = [{ event: "ToolCallCompleted", content: summary, tool }];
  if (memories) events.unshift({ event: "MemoryUpdateCompleted", memories });
  if (tool.tool_call_error) events.push({ event: "ToolCallError", error: tool.result ?? "", tool });
  yield { event: "Checkpoint", events };
}

async function execute(
  context: LoopContext,
  call: MessageToolCall,
  definition: Tool | undefined,
  { tool, args }: Extract<ToolPlan, { kind: "run" }>,
  memories: MemoryChange[] | undefined,
): Promise<Outcome> {
  const start = Date.now() / 1000;
  const clock = performance.now();
  let result: string;
  let failed = false;
  try {
    result = await invoke(context, call.id, definition, args);
  } catch (error) {
    // The model is the one to deal with a tool that fails: it gets the message, and the run goes on.
    result = error instanceof Error ? error.message : String(error);
    failed = true;
  }
  const duration = (performance.now() - clock) / 1000;
  return {
    call,
    memories,
    summary: `${tool.tool_name}() completed in ${duration.toFixed(4)}s. `,
    tool: {
      ...tool,
      tool_call_error: failed,
      result,
      metrics: { start_time: start, end_time: start + duration, duration },
    },
  };
}

/** The outcome of a call that was not run here. */
function told(call: MessageToolCall, plan: Extract<ToolPlan, { kind: "tell" }>): Outcome {
  const { tool, text, failed } = plan;
  return {
    call,
    memories: undefined,
    summary: `${tool.tool_name}() was ${failed ? "not run" : "run elsewhere"}. `,
    tool: { ...tool, tool_call_error: failed, result: text },
  };
}

/** Whether a call is for the tool that changes memories, which the agent has itself. */
function isMemoryCall({ agent, memories }: LoopContext, call: MessageToolCall): boolean {
  return agent.memory?.agentic === true && memories !== undefined && call.function.name === memoryToolName;
}

function definitionOf(
  { agent, memories }: LoopContext,
  call: MessageToolCall,
  changes: MemoryChange[] | undefined,
): Tool | undefined {
  if (memories && changes) return memoryTool(memories, changes);
  return agent.tools.find(({ name }) => name === call.function.name);
}
