import { type Expression, type ExpressionBuilder, type Selectable, type SqlBool, sql } from "kysely";
import type { JsonObject } from "../../events/json.ts";
import type { Tables } from "../schema.ts";
import { containsText } from "../search.ts";
import type { SessionFilter, SessionPlace, SessionSort, StoredSession } from "../sessions.ts";
import type { Scope } from "../stores/scope.ts";

type Builder = ExpressionBuilder<Tables, "sessions">;

/** The columns of a session that are answered. */
export const sessionColumns = [
  "sessions.session_id",
  "sessions.agent_id",
  "sessions.user_id",
  "sessions.name",
  "sessions.state",
  "sessions.metadata",
  "sessions.summary",
  "sessions.created_at",
  "sessions.updated_at",
] as const;

/** A session's row. */
export type SessionRow = Pick<
  Selectable<Tables["sessions"]>,
  | "session_id"
  | "agent_id"
  | "user_id"
  | "name"
  | "state"
  | "metadata"
  | "summary"
  | "created_at"
  | "updated_at"
>;

/** A row as the session that is answered. */
export function sessionOf(row: SessionRow): StoredSession {
  return {
    sessionId: row.session_id,
    agentId: row.agent_id,
    ...(row.user_id !== null && { userId: row.user_id }),
    ...(row.name !== null && { name: row.name }),
    state: JSON.parse(row.state) as JsonObject,
    ...(row.metadata !== null && { metadata: JSON.parse(row.metadata) as JsonObject }),
    ...(row.summary !== null && { summary: JSON.parse(row.summary) as JsonObject }),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** The sessions of a filter that the principal may see. */
export function wanted(eb: Builder, scope: Scope, filter: SessionFilter): Expression<SqlBool> {
  const conditions: Expression<SqlBool>[] = [scope.sessions(eb)];
  if (filter.userId !== undefined) conditions.push(eb("sessions.user_id", "=", filter.userId));
  if (filter.agentId !== undefined) conditions.push(eb("sessions.agent_id", "=", filter.agentId));
  if (filter.name !== undefined) conditions.push(containsText(eb.ref("sessions.name"), filter.name));
  return eb.and(conditions);
}

/** What a list is sorted by, as an expression. */
export function sortKey(eb: Builder, by: SessionSort["by"]): Expression<number | string> {
  return by === "session_name"
    ? eb.fn.coalesce("sessions.name", sql.lit(""))
    : eb.ref(`sessions.${by}` as const);
}

/** The sessions that follow a place in a list. The order is that of (key, id), so that no two have the same place. */
export function following(eb: Builder, sort: SessionSort, { key, sessionId }: SessionPlace) {
  const than = sql.raw(sort.order === "asc" ? ">" : "<");
  return sql<SqlBool>`(${sortKey(eb, sort.by)}, ${eb.ref("sessions.session_id")}) ${than} (${key}, ${sessionId})`;
}
