import type { TraceRow } from "../queries/trace-writes.ts";
import { type ArrayType, binaryArray } from "./arrays.ts";

const types = {
  run_id: "text",
  trace_id: "text",
  session_id: "text",
  agent_id: "text",
  user_id: "text",
  name: "text",
  status: "text",
  start_time: "bigint",
  end_time: "bigint",
  duration_ms: "float8",
  total_spans: "int",
  error_count: "int",
  created_at: "bigint",
  input: "text",
  output: "text",
  spans: "text",
} satisfies Record<keyof TraceRow, ArrayType>;

const columns = Object.keys(types) as (keyof TraceRow)[];

/**
 * The text of the statement that writes several traces, or adds to them, as long as their runs are there. Its values are
 * those of {@link traceValues}.
 */
export function traceText(schema: string): string {
  const table = (name: string) => `"${schema.replaceAll('"', '""')}"."${name}"`;
  const arrays = columns.map((column, i) => `$${i + 1}::${types[column]}[]`).join(", ");
  return `
WITH given AS (
  SELECT * FROM unnest(${arrays}) AS g(${columns.join(", ")})
), kept AS (
  -- Whoever deletes the runs meanwhile waits, and deletes these too.
  SELECT run_id FROM ${table("runs")} WHERE run_id = ANY($1::text[]) ORDER BY run_id FOR KEY SHARE
)
INSERT INTO ${table("traces")} AS traces (${columns.join(", ")})
SELECT given.* FROM given JOIN kept USING (run_id)
ON CONFLICT (run_id, trace_id) DO UPDATE SET
  status = excluded.status,
  end_time = excluded.end_time,
  output = excluded.output,
  duration_ms = traces.duration_ms + excluded.duration_ms,
  total_spans = traces.total_spans + excluded.total_spans,
  error_count = traces.error_count + excluded.error_count,
  spans = substr(traces.spans, 1, length(traces.spans) - 1) || ',' || substr(excluded.spans, 2)`;
}

/** The values for {@link traceText}: an array a column. */
export function traceValues(rows: readonly TraceRow[]): unknown[] {
  return columns.map((column) =>
    binaryArray(
      types[column],
      rows.map((row) => row[column]),
    ),
  );
}
