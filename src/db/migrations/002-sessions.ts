import type { Kysely } from "kysely";
import type { Migration } from "kysely/migration";
import { indexWords } from "./words.ts";

/** What lists of sessions sort, filter and search by. */
export function sessions(engine: "sqlite" | "postgres"): Migration {
  return {
    async up(db: Kysely<unknown>) {
      // Who gave the name: `message`, `model` or `user`. A later one of these wins over an earlier.
      await db.schema.alterTable("sessions").addColumn("named_by", "text").execute();
      // Runs up to this one are told by the summary: the model is not sent them any more.
      await db.schema.alterTable("sessions").addColumn("compacted_until", "bigint").execute();
      for (const time of ["created_at", "updated_at"]) {
        await db.schema
          .createIndex(`sessions_of_user_by_${time}`)
          .on("sessions")
          .columns(["user_id", time, "session_id"])
          .execute();
      }
      for (const [name, columns] of [
        ["sessions_by_created_at", ["created_at", "session_id"]],
        ["sessions_by_updated_at", ["updated_at", "session_id"]],
        ["sessions_of_agent_by_created_at", ["agent_id", "created_at", "session_id"]],
      ] as const) {
        await db.schema
          .createIndex(name)
          .on("sessions")
          .columns([...columns])
          .execute();
      }

      for (const tokens of [
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "reasoning_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
      ]) {
        await db.schema
          .alterTable("runs")
          .addColumn(tokens, "bigint", (c) => c.notNull().defaultTo(0))
          .execute();
      }

      await db.schema
        .createTable("session_texts")
        .addColumn("text_id", engine === "postgres" ? "bigserial" : "integer", (c) =>
          engine === "postgres" ? c.primaryKey() : c.primaryKey().autoIncrement(),
        )
        .addColumn("session_id", "text", (c) => c.notNull())
        // Empty for the session's name.
        .addColumn("run_id", "text", (c) => c.notNull())
        .addColumn("owner", "text", (c) => c.notNull())
        .addColumn("text", "text", (c) => c.notNull())
        .addUniqueConstraint("session_texts_of", ["session_id", "run_id"])
        .execute();
      await indexWords(db, engine, {
        later: true,
        table: "session_texts",
        id: "text_id",
        text: "text",
        owner: "owner",
      });
    },
  };
}
