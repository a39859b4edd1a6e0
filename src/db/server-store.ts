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
}

/** Makes the one handle that a database has. */
export function createServerStore(engine: Engine): ServerStore {
  return {
    accounts: new ServiceAccountStore(engine),
    audit: new AuditLog(engine),
    // No other process can have the same SQLite file open.
    limits: engine.name === "sqlite" ? new MemoryLimits() : new SharedLimits(engine),
  };
}
