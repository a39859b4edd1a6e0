import { type ExpressionBuilder, type Kysely, type QueryCreator, sql } from "kysely";
import type { JsonObject } from "../../events/json.ts";
import { prepare } from "../prepared.ts";
import { type AcceptParameters, newRunValues, newSessionValues, orClaim } from "../queries/accept.ts";
import type { ClaimedSession } from "../queries/claimed.ts";
import { roomFor } from "../queries/room.ts";
import type { Tables } from "../schema.ts";
import { giveTexts } from "../stores/session-texts.ts";
import { columnsOf, parameterTypes, selections } from "./accept-batch.ts";

/** What a statement is run with: a connection, or the pool. */
export interface Queryable {
  query<TRow = unknown>(config: {
    name?: string;
    text: string;
    values: unknown[];
  }): Promise<{ rows: TRow[] }>;
}

/**
 * Accepts a background run, which must find room in the queue, in one statement, which is one round trip and one commit.
 * Gives no row where it is refused.
 */
export function enqueueQuery(db: Kysely<Tables>) {
  return prepare<AcceptParameters>()((value) => {
    const given = (key: keyof AcceptParameters) =>
      sql`${value(key)}::${sql.raw(parameterTypes[key])}` as never;
    const session = newSessionValues(given);
    const run = begunOrWaiting(newRunValues(given), given);
    return (
      db
        .with("session", (cte) =>
          orClaim(
            cte
              .insertInto("sessions")
              .columns(columnsOf(session))
              .expression(
                cte
                  .selectNoFrom(() => selections(session))
                  .where((where) => where.and(Object.values(roomFor(where, value)))),
              ),
          ).returning((eb) => [
            // A query in a RETURNING sees the rows as they were before the statement.
            eb
              .selectFrom("sessions as before")
              .select("before.user_id")
              .whereRef("before.session_id", "=", "sessions.session_id")
              .as("owner_before"),
            // Of a row that was inserted, and not found there, no transaction is the last.
            sql<boolean>`(sessions.xmax = 0 AND ${value("taken_by")}::text IS NOT NULL)`.as("begun"),
          ]),
        )
        .with("accepted", (cte) =>
          cte
            .insertInto("runs")
            .columns(columnsOf(run))
            .expression((eb) => eb.selectFrom("session").select(() => selections(run)))
            .returning("runs.run_id"),
        )
        // The condition is looked at once, so that a session that is not adopted costs nothing here.
        .with("given", (cte) =>
          giveTexts(cte as unknown as QueryCreator<Tables>, value("session_id"), value("owner")).where((eb) =>
            eb.exists(
              (
                eb as unknown as ExpressionBuilder<
                  { session: ClaimedSession & { owner_before: string | null } },
                  "session"
                >
              )
                .selectFrom("session")
                .select("session.state")
                .where("session.owner_before", "is", null)
                .where("session.user_id", "is not", null),
            ),
          ),
        )
        .selectFrom("session")
        .selectAll()
    );
  });
}

/** A background run's values: what is taken at once is under way, everything else waits. */
function begunOrWaiting<TValues extends object>(
  waiting: TValues & Record<"status" | "attempt" | "node_id" | "started_at", unknown>,
  given: (key: keyof AcceptParameters) => unknown,
): TValues {
  const ifBegun = (begun: unknown, later: unknown) =>
    sql`CASE WHEN session.begun THEN ${begun} ELSE ${later} END`;
  return {
    ...waiting,
    status: ifBegun(sql`'running'`, waiting.status),
    attempt: ifBegun(sql`1`, waiting.attempt),
    node_id: ifBegun(given("taken_by"), waiting.node_id),
    started_at: ifBegun(given("at"), waiting.started_at),
  };
}

/**
 * The states of sessions, which are locked, in the order of their key, until the transaction ends. One that was deleted is
 * left out.
 */
export async function lockStates(
  client: Queryable,
  schema: string,
  sessionIds: readonly string[],
): Promise<Map<string, JsonObject>> {
  if (sessionIds.length === 0) return new Map();
  const { rows } = await client.query<{ session_id: string; state: string }>({
    text: `SELECT session_id, state FROM ${sessionsOf(schema)} WHERE session_id = ANY($1::text[]) ORDER BY session_id FOR UPDATE`,
    values: [sessionIds],
  });
  return new Map(rows.map(({ session_id, state }) => [session_id, JSON.parse(state) as JsonObject]));
}

/** Stores the state of a session. */
export async function storeState(
  client: Queryable,
  schema: string,
  sessionId: string,
  state: JsonObject,
  at: number,
): Promise<void> {
  await client.query({
    text: `UPDATE ${sessionsOf(schema)} SET state = $2, updated_at = $3 WHERE session_id = $1`,
    values: [sessionId, JSON.stringify(state), at],
  });
}

function sessionsOf(schema: string): string {
  return `"${schema.replaceAll('"', '""')}"."sessions"`;
}
