import type { Engine } from "../engine.ts";
import type { Scope } from "./scope.ts";
import { putNameText } from "./session-texts.ts";

/** A session's summary, and from where on the model is still shown what was said. */
export interface SessionNote {
  /** JSON of the summary; null where there is none. */
  summary: string | null;
  /** The `order` of the last run that only the summary tells. */
  compactedUntil: number | null;
}

/** What the server itself notes of sessions: names that a model gave, summaries. */
export class SessionNotes {
  readonly #engine: Engine;
  readonly #scope: Scope;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /** The note of a session; undefined where the principal, or that user, has no such session. */
  async get(sessionId: string, userId?: string): Promise<SessionNote | undefined> {
    let query = this.#engine.db
      .selectFrom("sessions")
      .select(["summary", "compacted_until"])
      .where("session_id", "=", sessionId)
      .where((eb) => this.#scope.sessions(eb));
    if (userId !== undefined) query = query.where("user_id", "=", userId);
    const row = await query.executeTakeFirst();
    return row && { summary: row.summary, compactedUntil: row.compacted_until };
  }

  /** Gives a session the name that a model found, unless a person named it meanwhile. */
  async name(sessionId: string, name: string): Promise<void> {
    await this.#engine.transaction(async (db) => {
      const row = await db
        .updateTable("sessions")
        .set({ name, named_by: "model" })
        .where("session_id", "=", sessionId)
        .where("named_by", "=", "message")
        .where((eb) => this.#scope.sessions(eb))
        .returning("user_id")
        .executeTakeFirst();
      if (row) await putNameText(db, { sessionId, userId: row.user_id ?? undefined, name });
    });
  }

  /**
   * Notes a summary.
   *
   * @param compactedUntil - where given, runs up to this one are told by the summary alone from now on
   */
  async summarize(sessionId: string, summary: string, compactedUntil?: number): Promise<void> {
    await this.#engine.transaction(async (db) => {
      await db
        .updateTable("sessions")
        .set(compactedUntil === undefined ? { summary } : { summary, compacted_until: compactedUntil })
        .where("session_id", "=", sessionId)
        .where((eb) => this.#scope.sessions(eb))
        .execute();
    });
  }
}
