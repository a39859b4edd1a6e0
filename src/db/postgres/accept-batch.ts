import { type Kysely, type RawBuilder, sql } from "kysely";
import { prepare } from "../prepared.ts";
import { type AcceptParameters, newRunValues, newSessionValues, orClaim } from "../queries/accept.ts";
import type { ClaimedSession } from "../queries/claimed.ts";
import type { Tables } from "../schema.ts";
import { type ArrayType, binaryArray } from "./arrays.ts";

/** The types of a run's values: PostgreSQL cannot tell that of a parameter that a select gives, and takes it for text. */
export const parameterTypes: Record<keyof AcceptParameters, ArrayType> = {
  session_id: "text",
  agent_id: "text",
  user_id: "text",
  owner: "text",
  name: "text",
  state: "text",
  at: "bigint",
  run_id: "text",
  parent_run_id: "text",
  status: "text",
  background: "int",
  waits: "int",
  node_id: "text",
  attempt: "int",
  taken_by: "text",
  request: "text",
  forked_from_run_id: "text",
  forked_from_message_index: "int",
  regenerated_from: "text",
  started_at: "bigint",
  input: "text",
  metadata: "text",
  model: "text",
  model_provider: "text",
  traceparent: "text",
  total_limit: "bigint",
  user_limit: "bigint",
  session_limit: "bigint",
};

/** What the queue may hold is no matter to runs that do not go through it. */
const ofTheQueue: readonly string[] = ["taken_by", "total_limit", "user_limit", "session_limit"];

const parameters = (Object.keys(parameterTypes) as (keyof AcceptParameters)[]).filter(
  (key) => !ofTheQueue.includes(key),
);

/** Runs that are accepted together: an array a column. */
type AcceptBatch = Record<keyof AcceptParameters, Buffer>;

/** A session of {@link acceptQuery}. */
export type AcceptedSession = ClaimedSession & { session_id: string };

/** Runs as the values of {@link acceptQuery}. */
export function acceptBatch(rows: readonly AcceptParameters[]): AcceptBatch {
  const column = (key: keyof AcceptParameters) =>
    binaryArray(
      parameterTypes[key],
      rows.map((row) => row[key]),
    );
  return Object.fromEntries(parameters.map((key) => [key, column(key)])) as AcceptBatch;
}

/**
 * Accepts runs, each in another session, in one statement, which is one round trip and one commit. Gives a row for each
 * session that the run may have.
 */
export function acceptQuery(db: Kysely<Tables>) {
  // A column of the runs that are given. Where a value is expected, Kysely takes what stands for one as well.
  const given = (key: keyof AcceptParameters) => sql.ref(`given.${key}`) as never;
  const session = newSessionValues(given);
  const run = newRunValues(given);
  return prepare<AcceptBatch>()((value) => {
    const arrays = parameters.map((key) => sql`${value(key)}::${sql.raw(parameterTypes[key])}[]`);
    const names = sql.join(parameters.map((key) => sql.ref(key)));
    return (
      db
        .with(
          "given",
          () => sql<AcceptParameters>`(SELECT * FROM unnest(${sql.join(arrays)}) AS given (${names}))`,
        )
        .with("session", (cte) =>
          orClaim(
            cte
              .insertInto("sessions")
              .columns(columnsOf(session))
              .expression((eb) =>
                // In the order of their key: two batches would else wait for each other.
                eb
                  .selectFrom("given")
                  .select(() => selections(session))
                  .orderBy("given.session_id"),
              ),
          ).returning((eb) => [
            "sessions.session_id as session_id",
            // A query in a RETURNING sees the rows as they were before the statement.
            eb
              .selectFrom("sessions as before")
              .select("before.user_id")
              .whereRef("before.session_id", "=", "sessions.session_id")
              .as("owner_before"),
          ]),
        )
        .with("accepted", (cte) =>
          cte
            .insertInto("runs")
            .columns(columnsOf(run))
            .expression((eb) =>
              eb
                .selectFrom("given")
                .innerJoin("session", "session.session_id", "given.session_id")
                .select(() => selections(run)),
            )
            .returning("runs.run_id"),
        )
        .with("adopted", (cte) =>
          cte
            .selectFrom("session")
            .innerJoin("given", "given.session_id", "session.session_id")
            .select(["session.session_id", "given.owner"])
            .where("session.owner_before", "is", null)
            .where("session.user_id", "is not", null)
            .whereRef("session.created_at", "<>", "given.at"),
        )
        // What was said in a session that is adopted is found by its owner from now on. Whether there is one is looked at
        // once, so that a batch without costs nothing here.
        .with("passed_on", (cte) =>
          cte
            .updateTable("session_texts")
            .from("adopted")
            .set((eb) => ({ owner: eb.ref("adopted.owner") }))
            .whereRef("session_texts.session_id", "=", "adopted.session_id")
            .where("session_texts.owner", "=", "")
            .where((eb) => eb.exists(eb.selectFrom("adopted as any_adopted").select("any_adopted.owner"))),
        )
        .selectFrom("session")
        .selectAll()
    );
  });
}

/** The columns of an insertion. */
export function columnsOf<TValues extends object>(values: TValues): (keyof TValues)[] {
  return Object.keys(values) as (keyof TValues)[];
}

/** The values of an insertion as what a query gives. */
export function selections(values: object) {
  return Object.entries(values).map(([column, value]) =>
    (isConstant(value) ? sql.lit(value) : (value as RawBuilder<unknown>)).as(column),
  );
}

function isConstant(value: unknown): value is string | number | null {
  return value === null || typeof value !== "object";
}
