import type { JsonObject } from "../events/json.ts";

/** A span as it is stored. Times are Unix milliseconds with a fraction. */
export interface StoredSpan {
  span_id: string;
  /** The span above it, which may be one of the caller's. */
  parent_span_id?: string;
  name: string;
  /** OpenTelemetry's kind. */
  kind: "INTERNAL" | "SERVER" | "CLIENT" | "PRODUCER" | "CONSUMER";
  status: "OK" | "ERROR";
  status_message?: string;
  start: number;
  end: number;
  attributes: JsonObject;
  events?: { name: string; time: number; attributes?: JsonObject }[];
  links?: { trace_id: string; span_id: string }[];
  /** Who made it: the name of its tracer. */
  scope: string;
}

/** The spans of one run in one trace, or some that come later. */
export interface TraceWrite {
  runId: string;
  traceId: string;
  sessionId: string;
  agentId: string;
  userId: string | undefined;
  /** Those of the run's own span. */
  name: string;
  status: "OK" | "ERROR";
  /** Unix times in milliseconds. */
  startTime: number;
  endTime: number;
  /** How long the run's own span took; 0 where it was written before. */
  durationMs: number;
  input: string;
  output: string;
  /** How many spans there are, and how many of them failed. */
  totalSpans: number;
  errorCount: number;
  /** JSON of the list of them, each a {@link StoredSpan}. */
  spans: string;
}

/** A run in a trace. Several runs share one where the caller's span is above them. */
export interface StoredTrace extends Omit<TraceWrite, "spans"> {
  createdAt: number;
}

/** A trace with its spans, in the order in which they began. */
export interface TraceDetail extends StoredTrace {
  spans: StoredSpan[];
  /** Spans that were not read, for the answer would have been too large with them. */
  leftOut: number;
}

/** Which traces are wanted. */
export interface TraceFilter {
  runId?: string;
  sessionId?: string;
  userId?: string;
  agentId?: string;
  status?: "OK" | "ERROR";
  /** Unix times in milliseconds: those that began then or later, those that ended then or before. */
  from?: number;
  until?: number;
}

/** What the traces of one session come to. */
export interface SessionTraces {
  sessionId: string;
  userId: string | undefined;
  agentId: string;
  total: number;
  firstAt: number;
  lastAt: number;
}

/** Fields that a search may ask for, and of what kind they are. */
export const traceFields = {
  status: { label: "Status", type: "enum", values: ["OK", "ERROR"] },
  user_id: { label: "User ID", type: "string" },
  agent_id: { label: "Agent ID", type: "string" },
  team_id: { label: "Team ID", type: "string" },
  workflow_id: { label: "Workflow ID", type: "string" },
  session_id: { label: "Session ID", type: "string" },
  run_id: { label: "Run ID", type: "string" },
  trace_id: { label: "Trace ID", type: "string" },
  name: { label: "Name", type: "string" },
  duration_ms: { label: "Duration (ms)", type: "number" },
  start_time: { label: "Start time", type: "datetime" },
  end_time: { label: "End time", type: "datetime" },
  created_at: { label: "Created at", type: "datetime" },
} as const satisfies Record<string, { label: string; type: string; values?: readonly string[] }>;

/** The name of a field that a search may ask for. */
export type TraceField = keyof typeof traceFields;

/** How a field may be compared. `CONTAINS` takes upper and lower case for the same, `STARTSWITH` does not. */
export type TraceOperator = "EQ" | "NEQ" | "GT" | "GTE" | "LT" | "LTE" | "CONTAINS" | "STARTSWITH";

/** What a search asks for. Times are Unix milliseconds. */
export type TraceExpression =
  | { op: TraceOperator; key: TraceField; value: string | number }
  | { op: "IN"; key: TraceField; values: readonly (string | number)[] }
  | { op: "AND" | "OR"; conditions: readonly TraceExpression[] }
  | { op: "NOT"; condition: TraceExpression };
