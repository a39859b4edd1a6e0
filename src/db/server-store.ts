import { sql } from "kysely";
import type { Engine } from "./engine.ts";
import type { Limits } from "./limits.ts";
import { MemoryLimits } from "./memory-limits.ts";
import { AuditLog } from "./stores/audit-log.ts";
import { ServiceAccountStore } from "./stores/service-accounts.ts";
import { SharedLimits } from "./stores/shared-limits.ts";

/** What is the server's own, and no user's. */
export interface ServerStore {
  readonly accounts: ServiceAccountStore;
  readonly audit: AuditLog;
  readonly limits: Limits;
  /** How many background runs of a user wait or are under way, on whatever node. */
  backgroundRuns(userId: string): Promise<number>;
}

/** Makes the one handle that a database has. */
export function createServerStore(engine: Engine): ServerStore {
  return {
    accounts: new ServiceAccountStore(engine),
    audit: new AuditLog(engine),
    // No other process can have the same SQLite file open.
    limits: engine.name === "sqlite" ? new MemoryLimits() : new SharedLimits(engine),
    async backgroundRuns(userId) {
      const { db } = engine;
      const ofBackground = db
        .selectFrom("runs")
        .select((eb) => eb.fn.countAll<number>().as("runs"))
        .where("background", "=", 1);
      // Apart, and as they are indexed.
      const [waiting, running] = await Promise.all([
        ofBackground
          .where("status", "=", "pending")
          .where((eb) => eb(eb.fn.coalesce("user_id", sql.lit("")), "=", userId))
          .executeTakeFirstOrThrow(),
        ofBackground.where("status", "=", "running").where("user_id", "=", userId).executeTakeFirstOrThrow(),
      ]);
      return waiting.runs + running.runs;
    },
  };
}
