import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";

/** What makes a run's row an entry of the queue, what it goes on from, and which request it answers. */
export function queue(): Migration {
  return {
    async up(db: Kysely<unknown>) {
      const columns: [name: string, type: "text" | "smallint" | "integer" | "bigint", fallback?: number][] = [
        ["waits", "smallint", 0],
        ["available_at", "bigint", 0],
        ["crashes", "integer", 0],
        ["request", "text"],
        ["checkpoint", "text"],
        ["cancel_requested_at", "bigint"],
        ["pause_id", "text"],
        ["requirements", "text"],
        ["forked_from_run_id", "text"],
        ["forked_from_message_index", "integer"],
        ["regenerated_from", "text"],
        ["superseded_by", "text"],
      ];
      // One at a time: SQLite adds no two columns in one statement.
      for (const [name, type, fallback] of columns) {
        await db.schema
          .alterTable("runs")
          .addColumn(name, type, (c) => (fallback === undefined ? c : c.notNull().defaultTo(fallback)))
          .execute();
      }

      const underWay = sql<boolean>`status in ('pending', 'running')`;
      // Whether a run's session is free, and which run of it is next.
      await db.schema
        .createIndex("runs_of_busy_sessions")
        .on("runs")
        .columns(["session_id", "queue_seq"])
        .where(underWay)
        .execute();
      // The runs of one process.
      await db.schema
        .createIndex("runs_by_node")
        .on("runs")
        .column("node_id")
        .where(sql<boolean>`status in ('pending', 'running') and node_id is not null`)
        .execute();
      // What waits: the oldest of all, and the oldest of each user.
      const waiting = sql<boolean>`status = 'pending' and background = 1`;
      await db.schema.createIndex("runs_in_queue").on("runs").column("queue_seq").where(waiting).execute();
      await db.schema
        .createIndex("runs_in_queue_by_user")
        .on("runs")
        .expression(sql`(coalesce(user_id, '')), queue_seq`)
        .where(waiting)
        .execute();
      // What is done alone.
      await db.schema
        .createIndex("runs_in_queue_alone")
        .on("runs")
        .column("queue_seq")
        .where(sql<boolean>`status = 'pending' and background = 1 and crashes >= 2`)
        .execute();
      // What of each user is under way.
      await db.schema
        .createIndex("runs_in_background")
        .on("runs")
        .column("user_id")
        .where(sql<boolean>`status = 'running' and background = 1`)
        .execute();
      // What operators ask for: there is little of it among all that has completed.
      await db.schema
        .createIndex("runs_paused")
        .on("runs")
        .column("run_id")
        .where(sql<boolean>`status = 'paused' and background = 1`)
        .execute();
      await db.schema
        .createIndex("runs_failed")
        .on("runs")
        .column("run_id")
        .where(sql<boolean>`status in ('error', 'cancelled') and background = 1`)
        .execute();
      await db.schema.dropIndex("runs_under_way").execute();

      await db.schema
        .createTable("idempotency_keys")
        .addColumn("owner", "text", (c) => c.notNull())
        .addColumn("key", "text", (c) => c.notNull())
        .addColumn("request_hash", "text", (c) => c.notNull())
        .addColumn("run_id", "text", (c) => c.notNull())
        .addColumn("created_at", "bigint", (c) => c.notNull())
        .addPrimaryKeyConstraint("idempotency_keys_key", ["owner", "key"])
        .execute();
      await db.schema
        .createIndex("idempotency_keys_by_age")
        .on("idempotency_keys")
        .column("created_at")
        .execute();
    },
  };
}
