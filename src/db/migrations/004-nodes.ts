import type { Kysely } from "kysely";
import type { Migration } from "kysely/migration";

/** The processes that do runs, each with the lease of all of its runs. */
export function nodes(): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("nodes")
        .addColumn("node_id", "text", (c) => c.primaryKey())
        .addColumn("lease_until", "bigint", (c) => c.notNull())
        .execute();
    },
  };
}
