import type { Kysely, Selectable } from "kysely";
import type { AgentOSError } from "../errors.ts";
import { applyEvent, fold } from "../events/fold.ts";
import type { JsonObject } from "../events/json.ts";
import type { TerminalEventBody } from "../events/run-events.ts";
import type { Engine } from "./engine.ts";
import { snapshotColumns } from "./queries/rows.ts";
import { addEvent, storedLog } from "./queries/stored-log.ts";
import type { StateChange, StoredEnd } from "./records.ts";
import type { Tables } from "./schema.ts";
import { changedState, stateChange } from "./session-state.ts";

/** Ends a run that no process is at, and gives the index of the event that tells it. */
type End = (row: Selectable<Tables["runs"]>, reason: AgentOSError) => Promise<number>;

/**
 * Does something in one transaction that may end runs, and tells once it is committed which.
 *
 * @param work - is given what ends a run whose row it holds: one that was cancelled on purpose ends as `cancelled`, for any
 *   other reason as `error`
 */
export async function ending<T>(
  engine: Pick<Engine, "transaction" | "locked" | "ended">,
  work: (db: Kysely<Tables>, end: End) => Promise<T>,
): Promise<T> {
  let ended: StoredEnd[] = [];
  const result = await engine.transaction((db) => {
    // It may be tried again.
    ended = [];
    return work(db, async (row, reason) => {
      const { index, event } = await endStored(engine, db, row, reason);
      ended.push({ row, event });
      return index;
    });
  });
  for (const one of ended) engine.ended(one);
  return result;
}

/**
 * Ends a run: its row becomes the fold of what is stored of its log and of the event that ends it. Stands inside a
 * transaction that holds the row.
 */
async function endStored(
  engine: Pick<Engine, "locked">,
  db: Kysely<Tables>,
  row: Selectable<Tables["runs"]>,
  reason: AgentOSError,
): Promise<{ index: number; event: TerminalEventBody }> {
  const log = await storedLog(db, row.run_id);
  const run = fold(log);
  const index = (log.at(-1)?.event_index ?? -1) + 1;
  const at = Date.now();
  // A run that somebody could have gone on with has its state there, and what it began with.
  const { session_state, session_before } = JSON.parse(row.checkpoint ?? "{}") as Record<string, JsonObject>;
  const tail = {
    session_state: session_state ?? (JSON.parse(row.session_state) as JsonObject),
    metrics: { ...run.metrics, duration: (at - row.created_at) / 1000 },
  };
  const event: TerminalEventBody =
    reason.code === "run_cancelled"
      ? { event: "RunCancelled", content: String(run.content), reason: reason.message, ...tail }
      : { event: "RunError", content: reason.message, error_type: reason.code, ...tail };
  applyEvent(run, event, index);
  const model = { model: run.model || row.model, model_provider: run.model_provider || row.model_provider };
  await db
    .updateTable("runs")
    .set({
      ...snapshotColumns({ fold: { ...run, ...model }, ended: true, at }),
      // Whoever still believes to be at it may write no more.
      attempt: row.attempt + 1,
      node_id: null,
    })
    .where("run_id", "=", row.run_id)
    .execute();
  await addEvent(db, event, { runId: row.run_id, index, attempt: row.attempt + 1, at });
  const change = session_before && stateChange(session_before, tail.session_state);
  if (change) await changeState(engine, db, row.session_id, change, at);
  return { index, event };
}

/** What the run's tools changed in its session's state is kept, as at the end of any other run. */
async function changeState(
  engine: Pick<Engine, "locked">,
  db: Kysely<Tables>,
  sessionId: string,
  change: StateChange,
  at: number,
): Promise<void> {
  const session = await engine
    .locked(db.selectFrom("sessions").select("state").where("session_id", "=", sessionId))
    .executeTakeFirst();
  if (!session) return;
  const state = changedState(JSON.parse(session.state) as JsonObject, change);
  await db
    .updateTable("sessions")
    .set({ state: JSON.stringify(state), updated_at: at })
    .where("session_id", "=", sessionId)
    .execute();
}
