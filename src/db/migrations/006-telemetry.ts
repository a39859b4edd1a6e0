import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";
import type { Tables } from "../schema.ts";

const tokens = [
  "input_tokens",
  "output_tokens",
  "total_tokens",
  "reasoning_tokens",
  "cache_read_tokens",
  "cache_write_tokens",
];

/** Traces, and what was used by day. */
export function telemetry(): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await addToRuns(db);
      await traces(db);
      await metrics(db);
    },
  };
}

async function addToRuns(db: Kysely<unknown>): Promise<void> {
  // The span that asked for the run, as W3C's header has it: whoever does the run later still knows it.
  await db.schema.alterTable("runs").addColumn("traceparent", "text").execute();
  await db.schema.alterTable("runs").addColumn("cost", "double precision").execute();
  // Whether the run stands in the metrics of its day already.
  await db.schema
    .alterTable("runs")
    .addColumn("metered", "smallint", (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema
    .createIndex("runs_to_meter")
    .on("runs")
    .columns(["run_id"])
    .where(sql.ref("metered"), "=", sql.lit(0))
    .where(sql.ref("ended_at"), "is not", null)
    .execute();
}

async function traces(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("traces")
    .addColumn("run_id", "text", (c) => c.notNull())
    .addColumn("trace_id", "text", (c) => c.notNull())
    .addColumn("session_id", "text", (c) => c.notNull())
    .addColumn("agent_id", "text", (c) => c.notNull())
    .addColumn("user_id", "text")
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("status", "text", (c) => c.notNull())
    .addColumn("start_time", "bigint", (c) => c.notNull())
    .addColumn("end_time", "bigint", (c) => c.notNull())
    .addColumn("duration_ms", "double precision", (c) => c.notNull())
    .addColumn("total_spans", "integer", (c) => c.notNull())
    .addColumn("error_count", "integer", (c) => c.notNull())
    .addColumn("created_at", "bigint", (c) => c.notNull())
    .addColumn("input", "text", (c) => c.notNull())
    .addColumn("output", "text", (c) => c.notNull())
    // Last: a list does not read it.
    .addColumn("spans", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("traces_key", ["run_id", "trace_id"])
    .execute();
  for (const [name, columns] of [
    ["traces_by_start", ["start_time"]],
    ["traces_of_user", ["user_id", "start_time"]],
    ["traces_of_agent", ["agent_id", "start_time"]],
  ] as const) {
    await db.schema
      .createIndex(name)
      .on("traces")
      .columns([...columns])
      .execute();
  }
  // Most traces are found by their run, whose id they have: see `isOfAnother`.
  await db.schema
    .createIndex("traces_of_callers")
    .on("traces")
    .columns(["trace_id"])
    .where(sql`trace_id`, "<>", sql`replace(substr(run_id, 5), '-', '')`)
    .execute();
  // Errors are few: among all traces they would be looked for for long.
  await db.schema
    .createIndex("traces_with_error")
    .on("traces")
    .columns(["start_time"])
    .where(sql.ref("status"), "=", sql.lit("ERROR"))
    .execute();
}

async function metrics(db: Kysely<unknown>): Promise<void> {
  // One row a day and user, and one a day for all: its user is empty.
  let days = db.schema
    .createTable("metric_days")
    .addColumn("day", "text", (c) => c.notNull())
    .addColumn("user_id", "text", (c) => c.notNull())
    .addColumn("runs", "bigint", (c) => c.notNull())
    .addColumn("failed_runs", "bigint", (c) => c.notNull())
    .addColumn("cancelled_runs", "bigint", (c) => c.notNull())
    .addColumn("sessions", "bigint", (c) => c.notNull())
    .addColumn("users", "bigint", (c) => c.notNull())
    .addColumn("discarded_tokens", "bigint", (c) => c.notNull())
    .addColumn("cost", "double precision")
    .addColumn("unpriced_runs", "bigint", (c) => c.notNull())
    .addColumn("created_at", "bigint", (c) => c.notNull())
    .addColumn("updated_at", "bigint", (c) => c.notNull())
    .addPrimaryKeyConstraint("metric_days_key", ["user_id", "day"]);
  for (const kind of tokens) days = days.addColumn(kind, "bigint", (c) => c.notNull());
  await days.execute();

  let models = db.schema
    .createTable("metric_models")
    .addColumn("day", "text", (c) => c.notNull())
    .addColumn("user_id", "text", (c) => c.notNull())
    .addColumn("model_id", "text", (c) => c.notNull())
    .addColumn("model_provider", "text", (c) => c.notNull())
    .addColumn("runs", "bigint", (c) => c.notNull())
    .addColumn("cost", "double precision")
    .addColumn("unpriced_runs", "bigint", (c) => c.notNull())
    .addPrimaryKeyConstraint("metric_models_key", ["user_id", "day", "model_id", "model_provider"]);
  for (const kind of tokens) models = models.addColumn(kind, "bigint", (c) => c.notNull());
  await models.execute();

  // Which sessions a day has counted, so that each is counted once.
  await db.schema
    .createTable("metric_sessions")
    .addColumn("user_id", "text", (c) => c.notNull())
    .addColumn("day", "text", (c) => c.notNull())
    .addColumn("session_id", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("metric_sessions_key", ["user_id", "day", "session_id"])
    .execute();

  await db.schema
    .createTable("metric_latencies")
    .addColumn("day", "text", (c) => c.notNull())
    .addColumn("agent_id", "text", (c) => c.notNull())
    .addColumn("model_id", "text", (c) => c.notNull())
    .addColumn("model_provider", "text", (c) => c.notNull())
    .addColumn("durations", "text", (c) => c.notNull())
    .addColumn("first_tokens", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("metric_latencies_key", ["day", "agent_id", "model_id", "model_provider"])
    .execute();

  // One row: how the last refresh went. Whoever counts holds it.
  await db.schema
    .createTable("metric_refreshes")
    .addColumn("id", "integer", (c) => c.primaryKey())
    .addColumn("status", "text", (c) => c.notNull())
    .addColumn("started_at", "bigint")
    .addColumn("finished_at", "bigint")
    .addColumn("alive_at", "bigint")
    .addColumn("error", "text")
    .execute();
  await (db as Kysely<Tables>).insertInto("metric_refreshes").values({ id: 1, status: "idle" }).execute();
}
