import type { ExpressionBuilder, Selectable } from "kysely";
import type { Engine } from "../engine.ts";
import type { Tables } from "../schema.ts";

/** One decision: who asked for what, and what came of it. */
export interface AuditEntry {
  /** Unix milliseconds. */
  readonly at: number;
  readonly outcome: "denied" | "allowed";
  /** The HTTP status of the answer. */
  readonly status: number;
  readonly userId?: string;
  /** The id of the token, or the beginning of its hash. Never the token. */
  readonly tokenId?: string;
  /** The user that the caller acted for. */
  readonly actedFor?: string;
  readonly address?: string;
  readonly method: string;
  readonly path: string;
  readonly reason?: string;
}

/** Which entries are wanted. */
export interface AuditFilter {
  readonly outcome?: "denied" | "allowed";
  readonly userId?: string;
  /** Only those before this entry. */
  readonly before?: number;
}

/** Rows that are written in one statement. */
const rowsAtOnce = 100;

/** Rows that are deleted at once. */
const sweptAtOnce = 1000;

/** What was refused, and what administrators did. */
export class AuditLog {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Adds entries, all or none. */
  async add(entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await this.#engine.transaction(async (db) => {
      for (let i = 0; i < entries.length; i += rowsAtOnce) {
        await db
          .insertInto("audit_log")
          .values(entries.slice(i, i + rowsAtOnce).map(rowOf))
          .execute();
      }
    });
  }

  /** Entries, newest first. */
  async list(filter: AuditFilter, limit: number): Promise<(AuditEntry & { entryId: number })[]> {
    const rows = await this.#engine.db
      .selectFrom("audit_log")
      .selectAll()
      .where((eb) => wanted(eb, filter))
      .orderBy("entry_id", "desc")
      .limit(limit)
      .execute();
    return rows.map(entryOf);
  }

  /** Deletes what is older. */
  async sweep(before: number): Promise<void> {
    for (let swept = sweptAtOnce; swept === sweptAtOnce; ) {
      swept = await this.#engine.transaction(async (db) => {
        const old = db
          .selectFrom("audit_log")
          .select("entry_id")
          .where("at", "<", before)
          .orderBy("at")
          .limit(sweptAtOnce);
        const { numDeletedRows } = await db
          .deleteFrom("audit_log")
          .where("entry_id", "in", old)
          .executeTakeFirst();
        return Number(numDeletedRows);
      });
    }
  }
}

function wanted(eb: ExpressionBuilder<Tables, "audit_log">, { outcome, userId, before }: AuditFilter) {
  return eb.and([
    ...(outcome === undefined ? [] : [eb("outcome", "=", outcome)]),
    ...(userId === undefined ? [] : [eb("user_id", "=", userId)]),
    ...(before === undefined ? [] : [eb("entry_id", "<", before)]),
  ]);
}

function rowOf(entry: AuditEntry) {
  return {
    at: entry.at,
    outcome: entry.outcome,
    status: entry.status,
    user_id: entry.userId ?? null,
    token_id: entry.tokenId ?? null,
    acted_for: entry.actedFor ?? null,
    address: entry.address ?? null,
    method: entry.method,
    path: entry.path,
    reason: entry.reason ?? null,
  };
}

function entryOf(row: Selectable<Tables["audit_log"]>): AuditEntry & { entryId: number } {
  return {
    entryId: row.entry_id,
    at: row.at,
    outcome: row.outcome,
    status: row.status,
    ...(row.user_id !== null && { userId: row.user_id }),
    ...(row.token_id !== null && { tokenId: row.token_id }),
    ...(row.acted_for !== null && { actedFor: row.acted_for }),
    ...(row.address !== null && { address: row.address }),
    method: row.method,
    path: row.path,
    ...(row.reason !== null && { reason: row.reason }),
  };
}
