import type { Kysely } from "kysely";
import type { LogWrite } from "../records.ts";
import type { Tables } from "../schema.ts";

/** Of writes that found their run no longer running: those whose own end or pause it is. Their answer was lost, not they. */
export async function endedByThese(db: Kysely<Tables>, writes: readonly LogWrite[]): Promise<Set<string>> {
  const ends = writes.filter(({ row }) => row?.ended || row?.pauseId !== undefined);
  if (ends.length === 0) return new Set();
  const rows = await db
    .selectFrom("runs")
    .select(["run_id", "attempt", "status", "checkpoint_index"])
    .where(
      "run_id",
      "in",
      ends.map((write) => write.runId),
    )
    .execute();
  const stored = new Map(rows.map((row) => [row.run_id, row]));
  return new Set(
    ends
      .filter(({ runId, attempt, row }) => {
        const found = stored.get(runId);
        return (
          found?.attempt === attempt &&
          found.status === row?.fold.status &&
          found.checkpoint_index === row.fold.last_event_index
        );
      })
      .map(({ runId }) => runId),
  );
}
