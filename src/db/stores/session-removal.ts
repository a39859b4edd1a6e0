import type { Kysely } from "kysely";
import { ConflictError } from "../../errors.ts";
import type { Engine } from "../engine.ts";
import { wanted } from "../queries/sessions.ts";
import { countRunsOf, holdUsage, type Sessions } from "../queries/usage-writes.ts";
import type { Tables } from "../schema.ts";
import type { Scope } from "./scope.ts";

/** Rows whose keys are named in one statement. */
const keysAtOnce = 500;

/** How many rows went. */
export interface Removed {
  sessions: number;
  runs: number;
  messages: number;
  run_events: number;
  /** Files of runs; the same bytes may have been those of several. */
  files: number;
}

/**
 * Deletes sessions with all that is theirs, or none of them. What the caller has no right to is left alone.
 *
 * @throws {ConflictError} when a run of one of them is pending or running
 */
export function deleteSessions(
  engine: Engine,
  scope: Scope,
  sessionIds: readonly string[],
  userId: string | undefined,
): Promise<void> {
  if (sessionIds.length === 0) return Promise.resolve();
  return engine.transaction(async (db) => {
    await holdUsage(engine, db);
    // No run is accepted into a session that is locked, so that what has none under way now has none until it is gone.
    const rows = await engine
      .locked(
        db
          .selectFrom("sessions")
          .select("sessions.session_id")
          .where("sessions.session_id", "in", sessionIds)
          .where((eb) => wanted(eb, scope, userId === undefined ? {} : { userId }))
          .orderBy("sessions.session_id"),
      )
      .execute();
    if (rows.length === 0) return;
    const own = rows.map((row) => row.session_id);
    const live = await db
      .selectFrom("runs")
      .select(["session_id", "run_id"])
      .where("session_id", "in", own)
      .where("status", "in", ["pending", "running"])
      .executeTakeFirst();
    if (live) {
      throw new ConflictError(
        `The run ${live.run_id} of session ${live.session_id} is under way. Nothing was deleted. Try again once it ended.`,
      );
    }
    await removeSessions(engine, db, own);
  });
}

/**
 * Deletes sessions with all that is theirs; what their runs used stays counted. They must be locked by this transaction, their
 * runs written by nobody, and the usage held.
 */
export async function removeSessions(
  engine: Engine,
  db: Kysely<Tables>,
  sessions: Sessions,
): Promise<Removed> {
  await countRunsOf(db, sessions);
  const runs = db.selectFrom("runs").select("runs.run_id").where("runs.session_id", "in", sessions);
  // A run that is just being accepted may use the same bytes. Either its lock is had first, and what it has written is
  // seen below, or it waits for ours, and stores the bytes anew.
  const contents = await engine
    .locked(
      db
        .selectFrom("media")
        .select("sha256")
        .where(
          "sha256",
          "in",
          db.selectFrom("run_media").select("run_media.sha256").where("run_id", "in", runs),
        )
        .orderBy("sha256"),
    )
    .execute();
  const files = await db.deleteFrom("run_media").where("run_id", "in", runs).executeTakeFirst();
  for (let i = 0; i < contents.length; i += keysAtOnce) {
    await db
      .deleteFrom("media")
      .where(
        "sha256",
        "in",
        contents.slice(i, i + keysAtOnce).map((row) => row.sha256),
      )
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom("run_media")
              .select("run_media.media_id")
              .whereRef("run_media.sha256", "=", "media.sha256"),
          ),
        ),
      )
      .execute();
  }
  const messages = await db.deleteFrom("messages").where("run_id", "in", runs).executeTakeFirst();
  const events = await db.deleteFrom("run_events").where("run_id", "in", runs).executeTakeFirst();
  await db.deleteFrom("session_texts").where("session_id", "in", sessions).execute();
  const runIds = (await runs.execute()).map((run) => run.run_id);
  const deletedRuns = await db.deleteFrom("runs").where("session_id", "in", sessions).executeTakeFirst();
  // After the runs: a trace is written only while its run is there.
  for (let i = 0; i < runIds.length; i += keysAtOnce) {
    await db
      .deleteFrom("traces")
      .where("run_id", "in", runIds.slice(i, i + keysAtOnce))
      .execute();
  }
  const deleted = await db.deleteFrom("sessions").where("session_id", "in", sessions).executeTakeFirst();
  return {
    sessions: Number(deleted.numDeletedRows),
    runs: Number(deletedRuns.numDeletedRows),
    messages: Number(messages.numDeletedRows),
    run_events: Number(events.numDeletedRows),
    files: Number(files.numDeletedRows),
  };
}
