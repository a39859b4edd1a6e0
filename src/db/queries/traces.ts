import { type Expression, type ExpressionBuilder, type Selectable, type SqlBool, sql } from "kysely";
import type { Tables } from "../schema.ts";
import { containsText } from "../search.ts";
import type { Scope } from "../stores/scope.ts";
import type { StoredTrace, TraceExpression, TraceField, TraceFilter, TraceOperator } from "../traces.ts";

type Builder = ExpressionBuilder<Tables, "traces">;
type Condition = Expression<SqlBool>;

/** The columns of a trace without its spans. */
export const traceColumns = [
  "run_id",
  "trace_id",
  "session_id",
  "agent_id",
  "user_id",
  "name",
  "status",
  "start_time",
  "end_time",
  "duration_ms",
  "total_spans",
  "error_count",
  "created_at",
  "input",
  "output",
] as const;

/** A row as the trace that is answered. */
export function traceOf(row: Omit<Selectable<Tables["traces"]>, "spans">): StoredTrace {
  return {
    traceId: row.trace_id,
    runId: row.run_id,
    sessionId: row.session_id,
    agentId: row.agent_id,
    userId: row.user_id ?? undefined,
    name: row.name,
    status: row.status,
    startTime: row.start_time,
    endTime: row.end_time,
    durationMs: row.duration_ms,
    totalSpans: row.total_spans,
    errorCount: row.error_count,
    input: JSON.parse(row.input) as string,
    output: JSON.parse(row.output) as string,
    createdAt: row.created_at,
  };
}

/** The traces of a filter that the principal may see. */
export function wantedTraces(eb: Builder, scope: Scope, filter: TraceFilter): Condition {
  const conditions: Condition[] = [scope.traces(eb)];
  const equal = (column: "run_id" | "user_id" | "agent_id", value: string | undefined) => {
    if (value !== undefined) conditions.push(eb(`traces.${column}`, "=", value));
  };
  equal("run_id", filter.runId);
  if (filter.sessionId !== undefined) conditions.push(ofSessions(eb, [filter.sessionId]));
  equal("user_id", filter.userId);
  equal("agent_id", filter.agentId);
  if (filter.status === "OK") conditions.push(eb("traces.status", "=", "OK"));
  // Written out, so that the index of errors is seen to fit.
  if (filter.status === "ERROR") conditions.push(eb("traces.status", "=", sql.lit("ERROR")));
  if (filter.from !== undefined) conditions.push(eb("traces.start_time", ">=", filter.from));
  if (filter.until !== undefined) {
    // What has ended by then has begun by then, which is what the indexes know.
    conditions.push(eb("traces.start_time", "<=", filter.until), eb("traces.end_time", "<=", filter.until));
  }
  return eb.and(conditions);
}

/**
 * Runs of a trace. Where no span of a caller is above it, a trace has the id of its run, without the prefix and dashes: an
 * index of trace ids is needed for the others alone.
 */
export function ofTrace(eb: Builder, traceId: string): Condition {
  const isOfAnother = sql<SqlBool>`trace_id <> replace(substr(run_id, 5), '-', '')`;
  const own = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/.exec(traceId)?.slice(1).join("-");
  return eb.and([
    eb("traces.trace_id", "=", traceId),
    eb.or([isOfAnother, ...(own === undefined ? [] : [eb("traces.run_id", "=", `run_${own}`)])]),
  ]);
}

/** What a search asks for, as a condition that is true or false for every trace. */
export function matching(eb: Builder, expression: TraceExpression): Condition {
  switch (expression.op) {
    case "AND":
      return eb.and(expression.conditions.map((one) => matching(eb, one)));
    case "OR":
      return eb.or(expression.conditions.map((one) => matching(eb, one)));
    case "NOT":
      // What a trace does not have, such as a user, makes a comparison neither true nor false.
      return sql<SqlBool>`(${matching(eb, expression.condition)}) IS NOT TRUE`;
    case "IN":
      return expression.values.length === 0
        ? eb.or([])
        : sql<SqlBool>`${column(eb, expression.key)} IN (${sql.join([...expression.values])})`;
    case "EQ":
      if (expression.key === "session_id") return ofSessions(eb, [String(expression.value)]);
      return compared(column(eb, expression.key), expression.op, expression.value);
    default:
      return compared(column(eb, expression.key), expression.op, expression.value);
  }
}

/** Those of sessions are found by their runs, so that they need no index of their own: no trace is there without its run. */
export function ofSessions(eb: Builder, sessionIds: readonly string[]): Condition {
  const runs = eb.selectFrom("runs").select("runs.run_id").where("runs.session_id", "in", sessionIds);
  return eb.and([eb("traces.session_id", "in", sessionIds), eb("traces.run_id", "in", runs)]);
}

/** There are no teams and no workflows: no trace has one. */
function column(eb: Builder, key: TraceField): Expression<unknown> {
  if (key === "team_id" || key === "workflow_id") return sql`CAST(NULL AS text)`;
  return eb.ref(`traces.${key}`);
}

const signs = { GT: sql`>`, GTE: sql`>=`, LT: sql`<`, LTE: sql`<=` };

function compared(left: Expression<unknown>, op: TraceOperator, value: string | number): Condition {
  switch (op) {
    case "EQ":
      return sql<SqlBool>`${left} = ${value}`;
    case "NEQ":
      return sql<SqlBool>`${left} IS DISTINCT FROM ${value}`;
    case "CONTAINS":
      return containsText(left, String(value));
    case "STARTSWITH":
      return sql<SqlBool>`substr(${left}, 1, length(CAST(${value} AS text))) = CAST(${value} AS text)`;
    default:
      return sql<SqlBool>`${left} ${signs[op]} ${value}`;
  }
}
