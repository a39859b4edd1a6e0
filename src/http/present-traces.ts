import type { SessionTraces, StoredSpan, StoredTrace, TraceDetail } from "../db/traces.ts";
import type { JsonObject } from "../events/json.ts";
import { attributes as a, operations } from "../telemetry/attributes.ts";

/** A span with those below it, as a trace's tree has it. */
export interface TraceNode {
  id: string;
  name: string;
  /** `SPAN` is a span that a tool made itself. */
  type: "AGENT" | "LLM" | "TOOL" | "MEMORY" | "QUEUE" | "SPAN";
  duration: string;
  start_time: string;
  end_time: string;
  status: "OK" | "ERROR";
  input?: string;
  output?: string;
  error?: string;
  metadata: JsonObject;
  spans?: TraceNode[];
}

/** A trace as lists show it. */
export function presentTrace(trace: StoredTrace): JsonObject {
  return {
    trace_id: trace.traceId,
    name: trace.name,
    status: trace.status,
    duration: `${trace.durationMs}ms`,
    start_time: isoMilliseconds(trace.startTime),
    end_time: isoMilliseconds(trace.endTime),
    total_spans: trace.totalSpans,
    error_count: trace.errorCount,
    input: trace.input,
    run_id: trace.runId,
    session_id: trace.sessionId,
    user_id: trace.userId ?? null,
    agent_id: trace.agentId,
    created_at: isoMilliseconds(trace.createdAt),
  };
}

/** The runs of a trace as one: the first one's ids, and a tree of all. */
export function presentTraceDetail(runs: readonly TraceDetail[]): JsonObject {
  const [first, ...others] = runs as readonly [TraceDetail, ...TraceDetail[]];
  const leftOut = runs.reduce((sum, run) => sum + run.leftOut, 0);
  return {
    ...presentTrace(first),
    status: runs.some(({ status }) => status === "ERROR") ? "ERROR" : "OK",
    ...(others.length > 0 && {
      end_time: isoMilliseconds(Math.max(...runs.map(({ endTime }) => endTime))),
      total_spans: runs.reduce((sum, run) => sum + run.totalSpans, 0),
      error_count: runs.reduce((sum, run) => sum + run.errorCount, 0),
    }),
    output: first.output,
    tree: treeOf(runs),
    ...(leftOut > 0 && { spans_left_out: leftOut }),
  };
}

/** One span by its id, with what names its run; undefined where the trace has none such. */
export function presentSpan(runs: readonly TraceDetail[], spanId: string): JsonObject | undefined {
  for (const run of runs) {
    const span = run.spans.find(({ span_id }) => span_id === spanId);
    if (!span) continue;
    const { metadata, ...node } = nodeOf(span, run);
    const ids = { run_id: run.runId, session_id: run.sessionId, user_id: run.userId ?? null };
    return {
      ...node,
      kind: span.kind,
      parent_span_id: span.parent_span_id ?? null,
      metadata: { ...metadata, ...ids, agent_id: run.agentId },
      attributes: span.attributes,
      events: span.events ?? [],
      links: span.links ?? [],
    };
  }
  return undefined;
}

/** What the traces of a session come to. */
export function presentSessionTraces(session: SessionTraces): JsonObject {
  return {
    session_id: session.sessionId,
    user_id: session.userId ?? null,
    agent_id: session.agentId,
    total_traces: session.total,
    first_trace_at: isoMilliseconds(session.firstAt),
    last_trace_at: isoMilliseconds(session.lastAt),
  };
}

function treeOf(runs: readonly TraceDetail[]): TraceNode[] {
  const nodes = new Map<string, TraceNode>();
  const all = runs.flatMap((run) => run.spans.map((span) => ({ span, run })));
  for (const { span, run } of all) nodes.set(span.span_id, nodeOf(span, run));
  const roots: TraceNode[] = [];
  for (const { span } of all.toSorted((x, y) => x.span.start - y.span.start)) {
    const node = nodes.get(span.span_id)!;
    const parent = span.parent_span_id === undefined ? undefined : nodes.get(span.parent_span_id);
    // What has a span of the caller above it, or one that was dropped, stands at the top.
    if (!parent || parent === node) roots.push(node);
    else {
      parent.spans ??= [];
      parent.spans.push(node);
    }
  }
  return roots;
}

function nodeOf(span: StoredSpan, run: TraceDetail): TraceNode {
  const { attributes } = span;
  const type = typeOf(span);
  const isRun = type === "AGENT" && attributes[a.runId] === run.runId;
  const error = span.status_message ?? (span.status === "ERROR" ? text(attributes[a.errorType]) : undefined);
  const input = isRun ? run.input : text(attributes[a.inputMessages] ?? attributes[a.toolArguments]);
  const output = isRun ? run.output : text(attributes[a.outputMessages] ?? attributes[a.toolResult]);
  return {
    id: span.span_id,
    name: type === "TOOL" ? (text(attributes[a.toolName]) ?? span.name) : span.name,
    type,
    duration: `${Math.round((span.end - span.start) * 1000) / 1000}ms`,
    start_time: isoMicroseconds(span.start),
    end_time: isoMicroseconds(span.end),
    status: span.status,
    ...(input !== undefined && { input }),
    ...(output !== undefined && { output }),
    ...(error !== undefined && { error }),
    metadata: metadataOf(type, attributes),
  };
}

function typeOf({ attributes }: StoredSpan): TraceNode["type"] {
  if (attributes[a.runId] === undefined) return "SPAN";
  switch (attributes[a.operation]) {
    case operations.agent:
      return "AGENT";
    case operations.chat:
      return "LLM";
    case operations.tool:
      return "TOOL";
    case operations.memory:
      return "MEMORY";
    case operations.queue:
      return "QUEUE";
    default:
      return "SPAN";
  }
}

/** What a trace's page shows of a span beside its texts, by the names that it knows. */
const shown = {
  AGENT: {
    total_input_tokens: a.inputTokens,
    total_output_tokens: a.outputTokens,
    model: a.requestModel,
    run_status: a.runStatus,
    time_to_first_token: a.timeToFirstToken,
    cost: a.cost,
  },
  LLM: {
    model: a.requestModel,
    provider: a.provider,
    input_tokens: a.inputTokens,
    output_tokens: a.outputTokens,
    cache_read_tokens: a.cacheReadTokens,
    cache_write_tokens: a.cacheWriteTokens,
    reasoning_tokens: a.reasoningTokens,
    time_to_first_token: a.timeToFirstChunk,
    finish_reasons: a.finishReasons,
    cost: a.cost,
  },
  TOOL: { tool_name: a.toolName, tool_call_id: a.toolCallId, parameters: a.toolArguments },
  MEMORY: { changes: a.memoryChanges },
  QUEUE: {},
} satisfies Record<Exclude<TraceNode["type"], "SPAN">, Record<string, string>>;

/** Of a span that a tool made itself, all that it has. */
function metadataOf(type: TraceNode["type"], attributes: JsonObject): JsonObject {
  if (type === "SPAN") return attributes;
  const named = Object.entries(shown[type]).map(
    ([name, attribute]) => [name, attributes[attribute]] as const,
  );
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isoMilliseconds(time: number): string {
  return new Date(time).toISOString();
}

/** With six digits, as OpenTelemetry's exact times are cut. */
function isoMicroseconds(time: number): string {
  const whole = Math.floor(time);
  const micro = Math.min(999, Math.round((time - whole) * 1000));
  return new Date(whole).toISOString().replace("Z", `${String(micro).padStart(3, "0")}Z`);
}
