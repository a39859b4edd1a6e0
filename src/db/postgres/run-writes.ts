import { type ExpressionBuilder, type Kysely, type QueryCreator, type RawBuilder, sql } from "kysely";
import type { JsonObject } from "../../events/json.ts";
import { prepare } from "../prepared.ts";
import {
  type AcceptParameters,
  type ClaimedSession,
  giveTexts,
  newRunValues,
  newSessionValues,
  orClaim,
  type Value,
} from "../queries/accept.ts";
import { roomIn } from "../queries/room.ts";
import type { Tables } from "../schema.ts";

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
  const session = {} as Record<string, unknown>;
  return prepare<AcceptParameters>()((value) => {
    Object.assign(session, newSessionValues(value));
    const columns = Object.keys(session) as (keyof ReturnType<typeof newSessionValues>)[];
    return accepted(db, value, (cte) =>
      orClaim(
        cte
          .insertInto("sessions")
          .columns(columns)
          .expression(
            cte
              .selectNoFrom(() => columns.map((column) => typed(column, session[column]).as(column)))
              .where((where) => {
                const asking = { userId: value("user_id"), sessionId: value("session_id") };
                const limits = {
                  total: value("total_limit"),
                  user: value("user_limit"),
                  session: value("session_limit"),
                };
                return where.and(Object.values(roomIn(where, asking, limits)));
              }),
          ),
      ),
    );
  });
}

function accepted(
  db: Kysely<Tables>,
  value: Value,
  claim: (cte: QueryCreator<Tables>) => ReturnType<typeof orClaim>,
) {
  const values = newRunValues(value);
  const columns = Object.keys(values) as (keyof typeof values)[];
  return (
    db
      .with("session", (cte) =>
        // A query in a RETURNING sees the rows as they were before the statement.
        claim(cte as unknown as QueryCreator<Tables>).returning((eb) => [
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
          .columns(columns)
          .expression((eb) =>
            eb
              .selectFrom("session")
              .select(() => columns.map((column) => entered(column, values[column], value).as(column))),
          )
          .returning("runs.run_id"),
      )
      // The condition is looked at once, so that a session that is not adopted costs nothing here.
      .with("given", (cte) =>
        giveTexts(cte as unknown as QueryCreator<Tables>, value).where((eb) =>
          eb.exists(
            (eb as unknown as ExpressionBuilder<{ session: ClaimedSession }, "session">)
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
}

/** A background run's value: what is taken at once is under way, everything else waits. */
function entered(column: string, given: unknown, value: Value): RawBuilder<unknown> {
  const taken: Record<string, RawBuilder<unknown>> = {
    status: sql`'running'`,
    attempt: sql`1`,
    node_id: typed("node_id", value("taken_by")),
    started_at: typed("started_at", value("at")),
  };
  const begun = taken[column];
  return begun
    ? sql`CASE WHEN session.begun THEN ${begun} ELSE ${typed(column, given)} END`
    : typed(column, given);
}

/** PostgreSQL cannot tell the type of a parameter that a select gives: it takes it for text. */
function typed(column: string, value: unknown): RawBuilder<unknown> {
  switch (column) {
    case "background":
    case "waits":
      return sql`${value}::smallint`;
    case "attempt":
    case "forked_from_message_index":
      return sql`${value}::integer`;
    case "created_at":
    case "updated_at":
    case "started_at":
      return sql`${value}::bigint`;
    default:
      return sql`${value}::text`;
  }
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
