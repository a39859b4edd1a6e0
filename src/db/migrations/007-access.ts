import { type Kysely, sql } from "kysely";
import type { Migration } from "kysely/migration";

/** Service accounts, the audit log, and what limits are counted by. */
export function access(engine: "sqlite" | "postgres"): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable("service_accounts")
        .addColumn("account_id", "text", (c) => c.primaryKey())
        .addColumn("name", "text", (c) => c.notNull())
        .addColumn("token_hash", "text", (c) => c.notNull())
        .addColumn("token_prefix", "text", (c) => c.notNull())
        .addColumn("scopes", "text", (c) => c.notNull())
        .addColumn("created_by", "text")
        .addColumn("created_at", "bigint", (c) => c.notNull())
        .addColumn("expires_at", "bigint")
        .addColumn("revoked_at", "bigint")
        .addColumn("last_used_at", "bigint")
        .execute();
      // A name is free again once its account is revoked.
      await db.schema
        .createIndex("service_accounts_by_name")
        .unique()
        .on("service_accounts")
        .column("name")
        .where(sql.ref("revoked_at"), "is", null)
        .execute();

      await db.schema
        .createTable("audit_log")
        .addColumn("entry_id", engine === "postgres" ? "bigserial" : "integer", (c) =>
          engine === "postgres" ? c.primaryKey() : c.primaryKey().autoIncrement(),
        )
        .addColumn("at", "bigint", (c) => c.notNull())
        .addColumn("outcome", "text", (c) => c.notNull())
        .addColumn("status", "integer", (c) => c.notNull())
        .addColumn("user_id", "text")
        .addColumn("token_id", "text")
        .addColumn("acted_for", "text")
        .addColumn("address", "text")
        .addColumn("method", "text", (c) => c.notNull())
        .addColumn("path", "text", (c) => c.notNull())
        .addColumn("reason", "text")
        .execute();
      await db.schema.createIndex("audit_log_by_time").on("audit_log").column("at").execute();
      await db.schema
        .createIndex("audit_log_by_user")
        .on("audit_log")
        .columns(["user_id", "entry_id"])
        .execute();

      // What is counted here is soon over: a crash may lose it, and no log of it need be written.
      const counted = (name: string) => {
        const table = db.schema.createTable(name);
        return engine === "postgres" ? table.modifyFront(sql`UNLOGGED`) : table;
      };
      await counted("rate_limits")
        .addColumn("limit_key", "text", (c) => c.primaryKey())
        .addColumn("used_until", "double precision", (c) => c.notNull())
        .execute();
      await counted("limit_slots")
        .addColumn("slot_id", "text", (c) => c.primaryKey())
        .addColumn("limit_key", "text", (c) => c.notNull())
        .addColumn("holder", "text", (c) => c.notNull())
        .addColumn("held_until", "bigint", (c) => c.notNull())
        .execute();
      await db.schema.createIndex("limit_slots_by_key").on("limit_slots").column("limit_key").execute();
      await counted("daily_tokens")
        .addColumn("limit_key", "text", (c) => c.notNull())
        .addColumn("day", "integer", (c) => c.notNull())
        .addColumn("tokens", "bigint", (c) => c.notNull())
        .addPrimaryKeyConstraint("daily_tokens_key", ["limit_key", "day"])
        .execute();
    },
  };
}
