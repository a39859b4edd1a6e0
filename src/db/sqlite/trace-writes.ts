import { type Kysely, sql } from "kysely";
import { type PreparedQuery, prepare } from "../prepared.ts";
import type { TraceRow } from "../queries/trace-writes.ts";
import { traceColumns } from "../queries/traces.ts";
import type { Tables } from "../schema.ts";

const columns = [...traceColumns, "spans"] as const;

/** Writes a trace, or adds to it, as long as its run is there. */
export function traceWrite(db: Kysely<Tables>): PreparedQuery<TraceRow, unknown> {
  return prepare<TraceRow>()((value) =>
    db
      .insertInto("traces")
      .columns([...columns])
      .expression((eb) =>
        eb
          .selectFrom("runs")
          .select(() => columns.map((column) => sql<never>`${value(column)}`.as(column)))
          .where("runs.run_id", "=", value("run_id")),
      )
      .onConflict((conflict) =>
        conflict.columns(["run_id", "trace_id"]).doUpdateSet((eb) => ({
          status: eb.ref("excluded.status"),
          end_time: eb.ref("excluded.end_time"),
          output: eb.ref("excluded.output"),
          duration_ms: eb("traces.duration_ms", "+", eb.ref("excluded.duration_ms")),
          total_spans: eb("traces.total_spans", "+", eb.ref("excluded.total_spans")),
          error_count: eb("traces.error_count", "+", eb.ref("excluded.error_count")),
          spans: sql<string>`substr(traces.spans, 1, length(traces.spans) - 1) || ',' || substr(excluded.spans, 2)`,
        })),
      ),
  );
}
