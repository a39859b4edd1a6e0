import { type Kysely, type RawBuilder, sql } from "kysely";
import type { JsonObject } from "../../events/json.ts";
import { prepare } from "../prepared.ts";
import { type AcceptParameters, claimSession, newRunColumns, newRunValues } from "../queries/accept.ts";
import type { StateChange } from "../records.ts";
import type { Tables } from "../schema.ts";
import { changedState } from "../session-state.ts";

/** What a statement is run with: a connection, or the pool. */
export interface Queryable {
  query<TRow = unknown>(config: {
    name?: string;
    text: string;
    values: unknown[];
  }): Promise<{ rows: TRow[] }>;
}

/** Accepts a run in one statement, which is one round trip and one commit. */
export function acceptQuery(db: Kysely<Tables>) {
  return prepare<AcceptParameters>()((value) => {
    const values = newRunValues(value);
    return (
      db
        .with("session", (cte) =>
          // A query in a RETURNING sees the rows as they were before the statement.
          claimSession(cte, value).returning((eb) =>
            eb
              .selectFrom("sessions as before")
              .select("before.user_id")
              .whereRef("before.session_id", "=", "sessions.session_id")
              .as("owner_before"),
          ),
        )
        .with("accepted", (cte) =>
          cte
            .insertInto("runs")
            .columns([...newRunColumns])
            .expression((eb) =>
              eb
                .selectFrom("session")
                .select(() => newRunColumns.map((column) => typed(column, values[column]).as(column))),
            )
            .returning("runs.run_id"),
        )
        // What was said in a session that is adopted is found by its owner from now on. The condition is looked at once, so
        // that a session that is not adopted costs nothing here.
        .with("given", (cte) =>
          cte
            .updateTable("session_texts")
            .set({ owner: value("owner") })
            .where("session_id", "=", value("session_id"))
            .where("owner", "=", "")
            .where((eb) =>
              eb.exists(
                eb
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

/** PostgreSQL cannot tell the type of a parameter that a select gives: it takes it for text. */
function typed(column: (typeof newRunColumns)[number], value: unknown): RawBuilder<unknown> {
  switch (column) {
    case "background":
      return sql`${value}::smallint`;
    case "attempt":
      return sql`${value}::integer`;
    case "created_at":
    case "updated_at":
    case "started_at":
      return sql`${value}::bigint`;
    default:
      return sql`${value}::text`;
  }
}

/** Merges what a run changed into its session's state. Stands inside a transaction. */
export async function mergeState(
  client: Queryable,
  schema: string,
  sessionId: string,
  change: StateChange,
  at: number,
): Promise<void> {
  const sessions = `"${schema.replaceAll('"', '""')}"."sessions"`;
  const { rows } = await client.query<{ state: string }>({
    text: `SELECT state FROM ${sessions} WHERE session_id = $1 FOR UPDATE`,
    values: [sessionId],
  });
  const state = changedState(JSON.parse(rows[0]?.state ?? "{}") as JsonObject, change);
  await client.query({
    text: `UPDATE ${sessions} SET state = $2, updated_at = $3 WHERE session_id = $1`,
    values: [sessionId, JSON.stringify(state), at],
  });
}
