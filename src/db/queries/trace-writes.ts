import type { Kysely, Selectable } from "kysely";
import type { Engine } from "../engine.ts";
import type { Tables } from "../schema.ts";
import type { TraceWrite } from "../traces.ts";

/** A trace as its columns. */
export type TraceRow = Selectable<Tables["traces"]>;

/** A write as the columns of its row. */
export function traceRow(write: TraceWrite, at: number): TraceRow {
  return {
    run_id: write.runId,
    trace_id: write.traceId,
    session_id: write.sessionId,
    agent_id: write.agentId,
    user_id: write.userId ?? null,
    name: plain(write.name),
    status: write.status,
    start_time: Math.floor(write.startTime),
    end_time: Math.floor(write.endTime),
    duration_ms: write.durationMs,
    total_spans: write.totalSpans,
    error_count: write.errorCount,
    created_at: at,
    input: JSON.stringify(write.input),
    output: JSON.stringify(write.output),
    spans: write.spans,
  };
}

/** A text that every database takes. */
function plain(text: string): string {
  return text.replaceAll("\u0000", "").toWellFormed();
}

/** Deletes traces that began before a time, some at once. @returns how many went */
export async function sweepTraces(
  engine: Pick<Engine, "transaction">,
  before: number,
  atOnce: number,
): Promise<number> {
  return engine.transaction(async (db: Kysely<Tables>) => {
    const old = db
      .selectFrom("traces")
      .select(["run_id", "trace_id"])
      .where("start_time", "<", before)
      .orderBy("start_time")
      .limit(atOnce);
    const gone = await db
      .deleteFrom("traces")
      .where(({ eb, refTuple }) => eb(refTuple("run_id", "trace_id"), "in", old as never))
      .executeTakeFirst();
    return Number(gone.numDeletedRows);
  });
}
