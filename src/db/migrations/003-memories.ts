import type { Kysely } from "kysely";
import type { Migration } from "kysely/migration";
import { indexWords } from "./words.ts";

/** What is remembered of users. */
export function memories(engine: "sqlite" | "postgres"): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("memories")
        .addColumn("memory_seq", engine === "postgres" ? "bigserial" : "integer", (c) =>
          engine === "postgres" ? c.primaryKey() : c.primaryKey().autoIncrement(),
        )
        .addColumn("memory_id", "text", (c) => c.notNull().unique())
        .addColumn("user_id", "text", (c) => c.notNull())
        .addColumn("owner", "text", (c) => c.notNull())
        .addColumn("agent_id", "text")
        .addColumn("memory", "text", (c) => c.notNull())
        .addColumn("input", "text")
        .addColumn("run_id", "text")
        .addColumn("session_id", "text")
        .addColumn("created_at", "bigint", (c) => c.notNull())
        .addColumn("updated_at", "bigint", (c) => c.notNull())
        .execute();
      for (const time of ["created_at", "updated_at"]) {
        await db.schema
          .createIndex(`memories_of_user_by_${time}`)
          .on("memories")
          .columns(["user_id", time, "memory_id"])
          .execute();
      }
      await db.schema
        .createIndex("memories_by_updated_at")
        .on("memories")
        .columns(["updated_at", "memory_id"])
        .execute();
      await indexWords(db, engine, { table: "memories", id: "memory_seq", text: "memory", owner: "owner" });
      await db.schema
        .createTable("memory_topics")
        .addColumn("memory_id", "text", (c) => c.notNull())
        .addColumn("position", "integer", (c) => c.notNull())
        .addColumn("topic", "text", (c) => c.notNull())
        .addPrimaryKeyConstraint("memory_topics_key", ["memory_id", "position"])
        .execute();
      await db.schema
        .createIndex("memory_topics_by_topic")
        .on("memory_topics")
        .columns(["topic", "memory_id"])
        .execute();
    },
  };
}
