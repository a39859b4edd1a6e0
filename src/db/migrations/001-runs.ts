import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";

/** Sessions, runs, their messages, logs and files. */
export function runs(engine: "sqlite" | "postgres"): Migration {
  const bytes = engine === "postgres" ? sql`bytea` : sql`blob`;
  return {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("sessions")
        .addColumn("session_id", "text", (c) => c.primaryKey())
        .addColumn("agent_id", "text", (c) => c.notNull())
        .addColumn("user_id", "text")
        .addColumn("name", "text")
        .addColumn("state", "text", (c) => c.notNull())
        .addColumn("metadata", "text")
        .addColumn("summary", "text")
        .addColumn("created_at", "bigint", (c) => c.notNull())
        .addColumn("updated_at", "bigint", (c) => c.notNull())
        .execute();

      // SQLite numbers a rowid column by itself only where its type is exactly INTEGER.
      await db.schema
        .createTable("runs")
        .addColumn("queue_seq", engine === "postgres" ? "bigserial" : "integer", (c) =>
          engine === "postgres" ? c.notNull() : c.primaryKey().autoIncrement(),
        )
        // No index has `queue_seq` first on PostgreSQL: it would be read backward, past the runs of all other sessions.
        .addColumn("run_id", "text", (c) => (engine === "postgres" ? c.primaryKey() : c.notNull().unique()))
        .addColumn("session_id", "text", (c) => c.notNull())
        .addColumn("agent_id", "text", (c) => c.notNull())
        .addColumn("user_id", "text")
        .addColumn("parent_run_id", "text")
        .addColumn("status", "text", (c) => c.notNull())
        .addColumn("background", "smallint", (c) => c.notNull().defaultTo(0))
        .addColumn("node_id", "text")
        .addColumn("attempt", "integer", (c) => c.notNull())
        .addColumn("checkpoint_index", "integer", (c) => c.notNull().defaultTo(-1))
        .addColumn("input", "text", (c) => c.notNull())
        .addColumn("content", "text", (c) => c.notNull().defaultTo('""'))
        .addColumn("content_type", "text", (c) => c.notNull().defaultTo("str"))
        .addColumn("reasoning_content", "text", (c) => c.notNull().defaultTo('""'))
        .addColumn("tools", "text", (c) => c.notNull().defaultTo("[]"))
        .addColumn("session_state", "text", (c) => c.notNull().defaultTo("{}"))
        .addColumn("metadata", "text", (c) => c.notNull().defaultTo("{}"))
        .addColumn("metrics", "text", (c) => c.notNull().defaultTo("{}"))
        .addColumn("model", "text", (c) => c.notNull())
        .addColumn("model_provider", "text", (c) => c.notNull())
        .addColumn("error", "text")
        .addColumn("created_at", "bigint", (c) => c.notNull())
        .addColumn("updated_at", "bigint", (c) => c.notNull())
        .addColumn("started_at", "bigint")
        .addColumn("ended_at", "bigint")
        .execute();
      await db.schema
        .createIndex("runs_by_session")
        .on("runs")
        .columns(["session_id", "queue_seq"])
        .execute();
      // What the history of a run reads: it costs the same in a session of five runs and of five thousand.
      await db.schema
        .createIndex("runs_for_history")
        .on("runs")
        .columns(["session_id", "agent_id", "queue_seq"])
        .where(sql.ref("status"), "=", sql.lit("completed"))
        .execute();
      await db.schema
        .createIndex("runs_under_way")
        .on("runs")
        .columns(["status", "node_id"])
        .where(sql.ref("status"), "in", [sql.lit("pending"), sql.lit("running")])
        .execute();

      await db.schema
        .createTable("messages")
        .addColumn("run_id", "text", (c) => c.notNull())
        .addColumn("position", "integer", (c) => c.notNull())
        .addColumn("role", "text", (c) => c.notNull())
        .addColumn("message", "text", (c) => c.notNull())
        .addPrimaryKeyConstraint("messages_key", ["run_id", "position"])
        .execute();

      await db.schema
        .createTable("run_events")
        .addColumn("run_id", "text", (c) => c.notNull())
        .addColumn("first_index", "integer", (c) => c.notNull())
        .addColumn("last_index", "integer", (c) => c.notNull())
        .addColumn("attempt", "integer", (c) => c.notNull())
        .addColumn("events", "text", (c) => c.notNull())
        .addPrimaryKeyConstraint("run_events_key", ["run_id", "first_index"])
        .execute();

      await db.schema
        .createTable("media")
        .addColumn("sha256", "text", (c) => c.primaryKey())
        .addColumn("size", "bigint", (c) => c.notNull())
        .addColumn("bytes", bytes, (c) => c.notNull())
        .execute();
      await db.schema
        .createTable("run_media")
        .addColumn("media_id", "text", (c) => c.primaryKey())
        .addColumn("run_id", "text", (c) => c.notNull())
        .addColumn("session_id", "text", (c) => c.notNull())
        .addColumn("sha256", "text", (c) => c.notNull())
        .addColumn("filename", "text", (c) => c.notNull())
        .addColumn("mime_type", "text", (c) => c.notNull())
        .execute();
      await db.schema.createIndex("run_media_by_run").on("run_media").column("run_id").execute();
      await db.schema.createIndex("run_media_by_content").on("run_media").column("sha256").execute();
    },
  };
}
