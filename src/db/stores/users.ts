import type { Engine } from "../engine.ts";
import { sessionColumns, sessionOf } from "../queries/sessions.ts";
import { holdUsage } from "../queries/usage-writes.ts";
import type { StoredSession } from "../sessions.ts";
import type { Scope } from "./scope.ts";
import { type Removed, removeSessions } from "./session-removal.ts";

/** What was erased of a user, in rows. */
export interface Erased extends Removed {
  memories: number;
}

/** All that is stored of one user. */
export class UserStore {
  readonly #engine: Engine;
  readonly #scope: Scope;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /** Whether the principal may see and erase all that is a user's. */
  reaches(userId: string): boolean {
    const { unrestricted, userId: own, sessionId } = this.#scope.principal;
    return unrestricted || (own === userId && sessionId === undefined);
  }

  /** Sessions of a user in the order of their ids, after one of them. Empty at the end. */
  async sessions(userId: string, after: string, limit: number): Promise<StoredSession[]> {
    const rows = await this.#engine.db
      .selectFrom("sessions")
      .select(sessionColumns)
      .where("sessions.user_id", "=", userId)
      .where("sessions.session_id", ">", after)
      .where((eb) => this.#scope.sessions(eb))
      .orderBy("sessions.session_id")
      .limit(limit)
      .execute();
    return rows.map(sessionOf);
  }

  /** Those of the sessions that are the user's. */
  async owned(userId: string, sessionIds: readonly string[]): Promise<Set<string>> {
    if (sessionIds.length === 0) return new Set();
    const rows = await this.#engine.db
      .selectFrom("sessions")
      .select("sessions.session_id")
      .where("sessions.user_id", "=", userId)
      .where("sessions.session_id", "in", sessionIds)
      .where((eb) => this.#scope.sessions(eb))
      .execute();
    return new Set(rows.map((row) => row.session_id));
  }

  /** Deletes all that is a user's, in one transaction. A run that is still under way elsewhere finds its row gone. */
  async erase(userId: string): Promise<Erased> {
    if (!this.reaches(userId)) {
      return { sessions: 0, runs: 0, messages: 0, run_events: 0, files: 0, memories: 0 };
    }
    return this.#engine.transaction(async (db) => {
      await holdUsage(this.#engine, db);
      const sessions = db
        .selectFrom("sessions")
        .select("sessions.session_id")
        .where("sessions.user_id", "=", userId);
      const runs = db
        .selectFrom("runs")
        .select("runs.run_id")
        .where("runs.session_id", "in", sessions)
        .orderBy("runs.run_id");
      // Sessions first, as everywhere: in another order each would wait for the other. No run is accepted into a session
      // that is locked.
      await this.#engine.locked(sessions.orderBy("sessions.session_id")).execute();
      await this.#engine.locked(runs).execute();
      const removed = await removeSessions(this.#engine, db, sessions);
      await db
        .deleteFrom("memory_topics")
        .where(
          "memory_id",
          "in",
          db.selectFrom("memories").select("memories.memory_id").where("memories.user_id", "=", userId),
        )
        .execute();
      // Runs of this user in sessions of nobody have traces too. What all users used in a day stays, for it names nobody.
      await db.deleteFrom("traces").where("user_id", "=", userId).execute();
      for (const table of ["metric_days", "metric_models", "metric_sessions"] as const) {
        await db.deleteFrom(table).where("user_id", "=", userId).execute();
      }
      const memories = await db.deleteFrom("memories").where("user_id", "=", userId).executeTakeFirst();
      return { ...removed, memories: Number(memories.numDeletedRows) };
    });
  }
}
