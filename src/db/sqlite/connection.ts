import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { SqliteDatabase } from "kysely";
import { DatabaseOpenError } from "../../errors.ts";
import type { PreparedQuery } from "../prepared.ts";

/** The path of a database that lives in memory and goes with the process. */
export const inMemory = ":memory:";

/** An open SQLite file: its statements are prepared once, and no other process can open it. */
export class SqliteConnection {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #lock: DatabaseSync | undefined;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * @param options - `locked`: whether no other process may have the file open; another thread of this one may not ask
   * @throws {DatabaseOpenError} when the file cannot be opened, or another process has it open
   */
  constructor(path: string, { locked = true } = {}) {
    this.#path = path;
    try {
      if (path !== inMemory) mkdirSync(dirname(path), { recursive: true });
      this.#lock = locked && path !== inMemory ? lock(path) : undefined;
      this.#db = new DatabaseSync(path, { timeout: 5000 });
      this.#db.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;",
      );
      // SQLite's own knows the letters of English alone.
      this.#db.function("lower", { deterministic: true }, (text) =>
        typeof text === "string" ? text.toLowerCase() : text,
      );
    } catch (error) {
      this.#lock?.close();
      if (error instanceof DatabaseOpenError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new DatabaseOpenError(`The SQLite database ${path} cannot be opened: ${reason}.`, {
        cause: error,
      });
    }
  }

  get path(): string {
    return this.#path;
  }

  /** Runs a prepared query and gives its rows. */
  run<TParameters, TRow>(query: PreparedQuery<TParameters, TRow>, parameters: TParameters): TRow[] {
    return this.statement(query.sql).all(...(query.values(parameters) as SQLInputValue[])) as TRow[];
  }

  begin(): void {
    this.statement("BEGIN IMMEDIATE").run();
  }

  commit(): void {
    this.statement("COMMIT").run();
  }

  /** Undoes what the transaction did, if SQLite has not done so itself, as it does when the disk is full. */
  rollback(): void {
    if (this.#db.isTransaction) this.statement("ROLLBACK").run();
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** The same connection in the form that Kysely's SQLite dialect takes. */
  forKysely(): SqliteDatabase {
    return {
      close: () => undefined,
      prepare: (sql) => {
        const statement = this.#db.prepare(sql);
        return {
          reader: statement.columns().length > 0,
          all: (parameters) => statement.all(...(parameters as SQLInputValue[])),
          run: (parameters) => statement.run(...(parameters as SQLInputValue[])),
          iterate: (parameters) =>
            statement.iterate(...(parameters as SQLInputValue[])) as IterableIterator<unknown>,
        };
      },
    };
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
    this.#lock?.close();
  }
}

/**
 * SQLite would let a second process write to the file, and two servers would then both believe that a run is theirs.
 * The lock is a transaction on a file beside it: the operating system lets go of it however this process ends.
 */
function lock(path: string): DatabaseSync {
  const db = new DatabaseSync(`${path}.lock`, { timeout: 0 });
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;");
    return db;
  } catch (error) {
    db.close();
    throw new DatabaseOpenError(
      `The SQLite database ${path} is in use by another server. Stop that one, choose another path, or use PostgreSQL.`,
      { cause: error },
    );
  }
}
