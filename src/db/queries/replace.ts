import { type Kysely, sql } from "kysely";
import type { Tables } from "../schema.ts";

/** Gives a completed run's place to another: from then on history has that one. Its log stays as it is. */
export function replaceRun(db: Kysely<Tables>, first: string, second: string) {
  return db
    .updateTable("runs")
    .set({ status: sql.lit("regenerated"), superseded_by: second })
    .where("run_id", "=", first)
    .where(sql.ref("status"), "=", sql.lit("completed"));
}
