import { type Kysely, type RawBuilder, sql } from "kysely";
import type { JsonObject } from "../../events/json.ts";
import { prepare } from "../prepared.ts";
import { type AcceptParameters, claimSession, newRunColumns, newRunValues } from "../queries/accept.ts";
import { snapshotColumns } from "../queries/rows.ts";
import type { LogWrite, StateChange } from "../records.ts";
import type { Tables } from "../schema.ts";
import { changedState } from "../session-state.ts";

/** What a statement is run with: a connection, or the pool. */
export interface Queryable {
  query<TRow>(config: { name?: string; text: string; values: unknown[] }): Promise<{ rows: TRow[] }>;
}

/** Accepts a run in one statement, which is one round trip and one commit. */
export function acceptQuery(db: Kysely<Tables>) {
  return prepare<AcceptParameters>()((value) => {
    const values = newRunValues(value);
    return db
      .with("session", (cte) => claimSession(cte, value))
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
      .selectFrom("session")
      .select(["state", "user_id", "created_at"]);
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

/** The text of the statement that adds to the logs of many runs at once. */
export function appendText(schema: string): string {
  const table = (name: string) => `"${schema.replaceAll('"', '""')}"."${name}"`;
  return `
WITH rows AS (
  SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[])
  AS r(run_id, attempt, status, checkpoint_index, content, content_type, reasoning_content, tools, session_state, metrics,
    error, updated_at, ended_at)
), appends AS (
  SELECT * FROM unnest($14::text[], $15::int[]) AS a(run_id, attempt)
), updated AS (
  UPDATE ${table("runs")} runs SET status = r.status, checkpoint_index = r.checkpoint_index, content = r.content,
    content_type = r.content_type, reasoning_content = r.reasoning_content, tools = r.tools,
    session_state = r.session_state, metrics = r.metrics, error = r.error, updated_at = r.updated_at,
    ended_at = r.ended_at
  FROM rows r WHERE runs.run_id = r.run_id AND runs.attempt = r.attempt AND runs.status = 'running'
  RETURNING runs.run_id
), locked AS (
  -- FOR SHARE makes a takeover wait for this commit; without it an append under way would land after the takeover.
  SELECT runs.run_id FROM ${table("runs")} runs JOIN appends a ON runs.run_id = a.run_id AND runs.attempt = a.attempt
  WHERE runs.status = 'running' ORDER BY runs.run_id FOR SHARE OF runs
), owned AS (
  SELECT run_id FROM updated UNION ALL SELECT run_id FROM locked
), logged AS (
  INSERT INTO ${table("run_events")} (run_id, first_index, last_index, attempt, events)
  SELECT e.* FROM unnest($16::text[], $17::int[], $18::int[], $19::int[], $20::text[])
    AS e(run_id, first_index, last_index, attempt, events) JOIN owned USING (run_id)
  ON CONFLICT DO NOTHING
), said AS (
  INSERT INTO ${table("messages")} (run_id, position, role, message)
  SELECT m.* FROM unnest($21::text[], $22::int[], $23::text[], $24::text[])
    AS m(run_id, position, role, message) JOIN owned USING (run_id)
  ON CONFLICT DO NOTHING
)
SELECT run_id FROM owned`;
}

/** The values for {@link appendText}. */
export function appendValues(writes: readonly LogWrite[]): unknown[] {
  const withRow = writes.filter((write) => write.row !== undefined).toSorted(byRunId);
  const rows = withRow.map((write) => ({ ...write, columns: snapshotColumns(write.row!) }));
  const appends = writes.filter((write) => write.row === undefined);
  const logged = writes.filter((write) => write.events.length > 0);
  const said = writes.flatMap((write) =>
    write.messages.map((message, i) => ({ write, message, position: write.firstPosition + i })),
  );
  return [
    rows.map((row) => row.runId),
    rows.map((row) => row.attempt),
    rows.map((row) => row.columns.status),
    rows.map((row) => row.columns.checkpoint_index),
    rows.map((row) => row.columns.content),
    rows.map((row) => row.columns.content_type),
    rows.map((row) => row.columns.reasoning_content),
    rows.map((row) => row.columns.tools),
    rows.map((row) => row.columns.session_state),
    rows.map((row) => row.columns.metrics),
    rows.map((row) => row.columns.error),
    rows.map((row) => row.columns.updated_at),
    rows.map((row) => row.columns.ended_at),
    appends.map((write) => write.runId),
    appends.map((write) => write.attempt),
    logged.map((write) => write.runId),
    logged.map((write) => write.firstIndex),
    logged.map((write) => write.firstIndex + write.events.length - 1),
    logged.map((write) => write.attempt),
    logged.map((write) => `[${write.events.join(",")}]`),
    said.map(({ write }) => write.runId),
    said.map(({ position }) => position),
    said.map(({ message }) => message.role),
    said.map(({ message }) => JSON.stringify(message)),
  ];
}

/** Rows in the order of their key, so that two commits never wait for each other. */
function byRunId(a: LogWrite, b: LogWrite): number {
  return a.runId < b.runId ? -1 : 1;
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
