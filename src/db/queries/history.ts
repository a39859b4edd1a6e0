import { type Kysely, sql } from "kysely";
import { prepare } from "../prepared.ts";
import type { Tables } from "../schema.ts";

/**
 * The messages of the last completed runs of an agent in a session. The inner query reads as many index entries as it
 * gives rows, however many runs the session has.
 */
export function historyQuery(db: Kysely<Tables>) {
  return prepare<{ sessionId: string; agentId: string; runs: number; after: number; before: number }>()(
    (value) =>
      db
        .selectFrom((last) =>
          last
            .selectFrom("runs")
            .select(["run_id", "queue_seq"])
            .where("session_id", "=", value("sessionId"))
            .where("agent_id", "=", value("agentId"))
            .where(sql.ref("status"), "=", sql.lit("completed"))
            .where("queue_seq", ">", value("after"))
            .where("queue_seq", "<", value("before"))
            .where("parent_run_id", "is", null)
            .orderBy("queue_seq", "desc")
            .limit(value("runs"))
            .as("last"),
        )
        .innerJoin("messages", "messages.run_id", "last.run_id")
        .select(["messages.message", "last.run_id as run_id", "last.queue_seq as order"])
        .where("messages.role", "<>", sql.lit("system"))
        .orderBy("last.queue_seq")
        .orderBy("messages.position"),
  );
}
