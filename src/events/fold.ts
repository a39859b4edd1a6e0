import { addTokens, type ModelUsage, noTokens } from "./metrics.ts";
import { isWaiting } from "./requirements.ts";
import type { FoldedRun } from "./run.ts";
import type { RunEventBody } from "./run-events.ts";
import type { ToolExecution } from "./tool-execution.ts";

/** The fold of no events: where every fold begins. */
export function emptyFold(): FoldedRun {
  return {
    status: "pending",
    content: "",
    content_type: "str",
    reasoning_content: "",
    model: "",
    model_provider: "",
    tools: [],
    requirements: [],
    session_state: {},
    metrics: noTokens(),
    last_event_index: -1,
  };
}

/**
 * What a run's events tell of it: its status, answer, reasoning, tool calls and metrics. The stored run is this fold.
 *
 * Events that a later `RunRecovered` takes back do not count.
 *
 * @param events - events of one run in the order of their index, from the first
 * @example
 * const run = fold(events);
 * if (run.status === "completed") show(run.content);
 */
export function fold(events: Iterable<RunEventBody & { event_index: number }>): FoldedRun {
  const run = emptyFold();
  for (const event of standing(events)) applyEvent(run, event, event.event_index);
  return run;
}

/** The events without those that were taken back. */
function standing<TEvent extends RunEventBody & { event_index: number }>(events: Iterable<TEvent>): TEvent[] {
  const kept: TEvent[] = [];
  for (const event of events) {
    // A run's end may stand in the place of events that were sent, and lost before they were stored.
    const from = event.event === "RunRecovered" ? event.discard_from_index : event.event_index;
    while (kept.length > 0 && kept.at(-1)!.event_index >= from) kept.pop();
    kept.push(event);
  }
  return kept;
}

/** Takes one more event into a fold, in place. A `RunRecovered` finds the fold as it was before what it takes back. */
export function applyEvent(run: FoldedRun, event: RunEventBody, index: number): void {
  run.last_event_index = index;
  switch (event.event) {
    case "RunStarted":
      run.status = "running";
      run.model = event.model;
      run.model_provider = event.model_provider;
      break;
    case "RunContent":
      run.content = `${run.content}${event.content}`;
      break;
    case "ReasoningContentDelta":
      run.reasoning_content += event.reasoning_content;
      break;
    case "ModelRequestCompleted": {
      addTokens(run.metrics, event);
      addTokens(usageOf(run, event.model, event.model_provider), event);
      break;
    }
    case "ToolCallStarted":
    case "ToolCallCompleted":
    case "ToolCallError":
      replaceTool(run, event.tool);
      break;
    case "RunPaused":
      run.status = "paused";
      run.content = event.content;
      for (const tool of event.tools) replaceTool(run, tool);
      run.requirements.push(...event.requirements);
      run.session_state = event.session_state;
      // A copy: the run goes on, and they grow.
      run.metrics = structuredClone(event.metrics);
      break;
    case "RunContinued":
      run.status = "running";
      for (const tool of event.tools) replaceTool(run, tool);
      break;
    case "RunRecovered":
      run.status = "running";
      break;
    case "RunCompleted":
      run.status = "completed";
      run.content = event.content;
      run.content_type = event.content_type;
      run.session_state = event.session_state;
      run.metrics = event.metrics;
      break;
    case "RunError":
      run.status = "error";
      run.content = event.content;
      run.error_type = event.error_type;
      run.session_state = event.session_state;
      run.metrics = event.metrics;
      break;
    case "RunCancelled":
      run.status = "cancelled";
      run.requirements = run.requirements.filter(({ tool_execution }) => !isWaiting(tool_execution));
      run.content = event.content;
      run.session_state = event.session_state;
      run.metrics = event.metrics;
      break;
    case "ModelRequestStarted":
    case "ReasoningStarted":
    case "ReasoningCompleted":
    case "MemoryUpdateStarted":
    case "MemoryUpdateCompleted":
    case "RunContentCompleted":
      break;
    default:
      event satisfies never;
  }
}

function usageOf(run: FoldedRun, id: string, provider: string): ModelUsage {
  run.metrics.details ??= { model: [] };
  const { model } = run.metrics.details;
  let usage = model.find((known) => known.id === id && known.provider === provider);
  if (!usage) {
    usage = { id, provider, ...noTokens() };
    model.push(usage);
  }
  return usage;
}

function replaceTool({ tools, requirements }: FoldedRun, tool: ToolExecution): void {
  const isSame = (known: ToolExecution) => known.tool_call_id === tool.tool_call_id;
  const at = tools.findIndex(isSame);
  if (at < 0) tools.push(tool);
  else tools[at] = tool;
  for (const [i, requirement] of requirements.entries()) {
    // Not in place: the requirement stands in an event.
    if (isSame(requirement.tool_execution)) requirements[i] = { ...requirement, tool_execution: tool };
  }
}
