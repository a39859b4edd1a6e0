import type { Kysely, Selectable } from "kysely";
import { ConflictError, NotFoundError } from "../../errors.ts";
import { newId } from "../../events/ids.ts";
import type { Engine } from "../engine.ts";
import { sessionColumns, sessionOf } from "../queries/sessions.ts";
import type { Tables } from "../schema.ts";
import { ownerWord } from "../search.ts";
import type { NewSession, SessionChange, SessionRef, StoredSession } from "../sessions.ts";
import type { Scope } from "./scope.ts";
import { giveTexts, putNameText } from "./session-texts.ts";

/** @throws {ConflictError} when there is a session with that id: it does not say whose */
export async function createSession(
  engine: Engine,
  { principal, empty }: Scope,
  given: NewSession,
): Promise<StoredSession> {
  const { unrestricted } = principal;
  const sessionId = (unrestricted ? undefined : principal.sessionId) ?? given.sessionId ?? newId();
  const userId = unrestricted ? given.userId : principal.userId;
  if (empty) throw new NotFoundError(`Session ${sessionId} not found.`);
  const { name } = given;
  const at = Date.now();
  const row = await engine.transaction(async (db) => {
    const made = await db
      .insertInto("sessions")
      .values({
        session_id: sessionId,
        agent_id: given.agentId ?? "",
        user_id: userId ?? null,
        name: name ?? null,
        named_by: name === undefined ? null : "user",
        state: JSON.stringify(given.state ?? {}),
        metadata: given.metadata ? JSON.stringify(given.metadata) : null,
        summary: null,
        created_at: at,
        updated_at: at,
      })
      .onConflict((conflict) => conflict.column("session_id").doNothing())
      .returning(sessionColumns)
      .executeTakeFirst();
    if (made && name !== undefined) await putNameText(db, { sessionId, userId, name });
    return made;
  });
  if (row) return sessionOf(row);
  throw new ConflictError(
    `Session with id '${sessionId}' already exists. Use PATCH /sessions/${sessionId} to update it.`,
  );
}

/** Changes a session. One without an owner is adopted by whoever changes it first. */
export function changeSession(
  engine: Engine,
  scope: Scope,
  ref: SessionRef,
  change: SessionChange,
): Promise<StoredSession | undefined> {
  return engine.transaction(async (db) => {
    const session = await claimSession(engine, db, scope, ref);
    if (!session) return undefined;
    const { name, state, metadata, summary } = change;
    const row = await db
      .updateTable("sessions")
      .set({
        ...(name !== undefined && { name, named_by: "user" as const }),
        ...(state && { state: JSON.stringify(state) }),
        ...(metadata && { metadata: JSON.stringify(metadata) }),
        ...(summary && { summary: JSON.stringify(summary) }),
        updated_at: Date.now(),
      })
      .where("session_id", "=", ref.sessionId)
      .returning(sessionColumns)
      .executeTakeFirstOrThrow();
    if (name !== undefined) {
      await putNameText(db, { sessionId: ref.sessionId, userId: row.user_id ?? undefined, name });
    }
    return sessionOf(row);
  });
}

/**
 * A session that the caller may change, locked until the transaction ends. One without an owner becomes the caller's.
 *
 * @returns undefined where there is none, or it is somebody else's
 */
export async function claimSession(
  engine: Engine,
  db: Kysely<Tables>,
  { principal, empty }: Scope,
  { sessionId, userId }: SessionRef,
): Promise<Selectable<Tables["sessions"]> | undefined> {
  const { unrestricted } = principal;
  const caller = unrestricted ? userId : principal.userId;
  const barred =
    empty ||
    (!unrestricted &&
      ((principal.sessionId !== undefined && principal.sessionId !== sessionId) ||
        (userId !== undefined && userId !== principal.userId)));
  if (barred) return undefined;
  const row = await engine
    .locked(db.selectFrom("sessions").selectAll().where("session_id", "=", sessionId))
    .executeTakeFirst();
  if (!row || caller === undefined || row.user_id === caller) return row;
  if (row.user_id !== null) return undefined;
  await db.updateTable("sessions").set({ user_id: caller }).where("session_id", "=", sessionId).execute();
  await giveTexts(db, sessionId, ownerWord(caller)).execute();
  return { ...row, user_id: caller };
}
