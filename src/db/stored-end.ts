import type { Kysely, Selectable } from "kysely";
import type { AgentOSError } from "../errors.ts";
import { fold } from "../events/fold.ts";
import type { JsonObject } from "../events/json.ts";
import type { RunEventBody, TerminalEventBody } from "../events/run-events.ts";
import type { Engine } from "./engine.ts";
import { snapshotColumns } from "./queries/rows.ts";
import type { StateChange } from "./records.ts";
import type { Tables } from "./schema.ts";
import { changedState, stateChange } from "./session-state.ts";

/**
 * Ends a run that no process is at: its row becomes the fold of what is stored of its log and of the event that ends it.
 * Stands inside a transaction that holds the row.
 *
 * @returns the index of that event
 * @param reason - a run that was cancelled on purpose ends as `cancelled`, for any other reason as `error`
 */
export async function endStored(
  engine: Pick<Engine, "locked">,
  db: Kysely<Tables>,
  row: Selectable<Tables["runs"]>,
  reason: AgentOSError,
): Promise<number> {
  const stretches = await db
    .selectFrom("run_events")
    .select(["first_index", "events"])
    .where("run_id", "=", row.run_id)
    .orderBy("first_index")
    .execute();
  const log = stretches.flatMap(({ first_index, events }) =>
    (JSON.parse(events) as RunEventBody[]).map((event, i) => ({ ...event, event_index: first_index + i })),
  );
  const before = fold(log);
  const index = (log.at(-1)?.event_index ?? -1) + 1;
  const at = Date.now();
  // A run that somebody could have gone on with has its state there, and what it began with.
  const { session_state, session_before } = JSON.parse(row.checkpoint ?? "{}") as Record<string, JsonObject>;
  const tail = {
    session_state: session_state ?? (JSON.parse(row.session_state) as JsonObject),
    metrics: { ...before.metrics, duration: (at - row.created_at) / 1000 },
  };
  const end: TerminalEventBody =
    reason.code === "run_cancelled"
      ? { event: "RunCancelled", content: String(before.content), reason: reason.message, ...tail }
      : { event: "RunError", content: reason.message, error_type: reason.code, ...tail };
  const run = fold([...log, { ...end, event_index: index }]);
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
  await db
    .insertInto("run_events")
    .values({
      run_id: row.run_id,
      first_index: index,
      last_index: index,
      attempt: row.attempt + 1,
      events: JSON.stringify([{ created_at: Math.floor(at / 1000), ...end }]),
    })
    .execute();
  const change = session_before && stateChange(session_before, tail.session_state);
  if (change) await changeState(engine, db, row.session_id, change, at);
  return index;
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
