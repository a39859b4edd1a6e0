import type { Selectable } from "kysely";
import type { Engine } from "../engine.ts";
import type { Tables } from "../schema.ts";

/** A caller that is no person, as it is stored. */
export interface ServiceAccount {
  readonly accountId: string;
  readonly name: string;
  /** SHA-256 of the token, in hex. The token itself is stored nowhere. */
  readonly tokenHash: string;
  /** How the token begins, for people to know it by. */
  readonly tokenPrefix: string;
  readonly scopes: readonly string[];
  readonly createdBy?: string;
  /** These times are Unix milliseconds. */
  readonly createdAt: number;
  readonly expiresAt?: number;
  readonly revokedAt?: number;
  readonly lastUsedAt?: number;
}

/** The service accounts of the server. They belong to no user. */
export class ServiceAccountStore {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** @returns false where an account that is not revoked has the name */
  create(account: ServiceAccount): Promise<boolean> {
    return this.#engine.transaction(async (db) => {
      const made = await db
        .insertInto("service_accounts")
        .values({
          account_id: account.accountId,
          name: account.name,
          token_hash: account.tokenHash,
          token_prefix: account.tokenPrefix,
          scopes: JSON.stringify(account.scopes),
          created_by: account.createdBy ?? null,
          created_at: account.createdAt,
          expires_at: account.expiresAt ?? null,
          revoked_at: null,
          last_used_at: null,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning("account_id")
        .executeTakeFirst();
      return made !== undefined;
    });
  }

  /** An account, also one that is revoked or over. */
  async get(accountId: string): Promise<ServiceAccount | undefined> {
    const row = await this.#engine.db
      .selectFrom("service_accounts")
      .selectAll()
      .where("account_id", "=", accountId)
      .executeTakeFirst();
    return row && accountOf(row);
  }

  /** Accounts, newest first, and how many there are. */
  async list(page: {
    limit: number;
    offset: number;
  }): Promise<{ accounts: ServiceAccount[]; total: number }> {
    const { db } = this.#engine;
    const rows = await db
      .selectFrom("service_accounts")
      .selectAll()
      .orderBy("created_at", "desc")
      .orderBy("account_id", "desc")
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    const counted = await db
      .selectFrom("service_accounts")
      .select((eb) => eb.fn.countAll<number>().as("total"))
      .executeTakeFirstOrThrow();
    return { accounts: rows.map(accountOf), total: counted.total };
  }

  /** Makes an account's token worth nothing from now on. One that is revoked already, or is not there, stays as it is. */
  async revoke(accountId: string, at: number): Promise<void> {
    await this.#engine.transaction(async (db) => {
      await db
        .updateTable("service_accounts")
        .set({ revoked_at: at })
        .where("account_id", "=", accountId)
        .where("revoked_at", "is", null)
        .execute();
    });
  }

  /** Notes that accounts were used. */
  async used(accountIds: readonly string[], at: number): Promise<void> {
    if (accountIds.length === 0) return;
    await this.#engine.transaction(async (db) => {
      await db
        .updateTable("service_accounts")
        .set({ last_used_at: at })
        .where("account_id", "in", accountIds)
        .execute();
    });
  }

  /** Those of the accounts that are not revoked. */
  async stillValid(accountIds: readonly string[]): Promise<Set<string>> {
    if (accountIds.length === 0) return new Set();
    const rows = await this.#engine.db
      .selectFrom("service_accounts")
      .select("account_id")
      .where("account_id", "in", accountIds)
      .where("revoked_at", "is", null)
      .execute();
    return new Set(rows.map((row) => row.account_id));
  }
}

function accountOf(row: Selectable<Tables["service_accounts"]>): ServiceAccount {
  return {
    accountId: row.account_id,
    name: row.name,
    tokenHash: row.token_hash,
    tokenPrefix: row.token_prefix,
    scopes: JSON.parse(row.scopes) as string[],
    ...(row.created_by !== null && { createdBy: row.created_by }),
    createdAt: row.created_at,
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
    ...(row.revoked_at !== null && { revokedAt: row.revoked_at }),
    ...(row.last_used_at !== null && { lastUsedAt: row.last_used_at }),
  };
}
