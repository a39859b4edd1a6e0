import type { Kysely, RawBuilder, SelectQueryBuilder } from "kysely";
import type { PreparedQuery } from "./prepared.ts";
import type { NewRun, SessionStart } from "./records.ts";
import type { Tables } from "./schema.ts";
import type { TextSearch } from "./search.ts";

/** What the two engines do each in its own way. Everything else is the same queries on both. */
export interface Engine {
  readonly name: "sqlite" | "postgres";
  readonly db: Kysely<Tables>;

  readonly search: TextSearch;

  /** Runs a query that was built once. */
  all<TParameters, TRow>(query: PreparedQuery<TParameters, TRow>, parameters: TParameters): Promise<TRow[]>;

  /** Does several things in one transaction: all of it happens, or nothing. */
  transaction<T>(work: (db: Kysely<Tables>) => Promise<T>): Promise<T>;

  /** Locks the rows that a query gives until the transaction ends, where others could change them meanwhile at all. */
  locked<TTable extends keyof Tables, TRow>(
    query: SelectQueryBuilder<Tables, TTable, TRow>,
  ): SelectQueryBuilder<Tables, TTable, TRow>;

  /** Locks the rows that a query gives, and passes over those that somebody else has locked. */
  lockedByNobody<TTable extends keyof Tables, TRow>(
    query: SelectQueryBuilder<Tables, TTable, TRow>,
  ): SelectQueryBuilder<Tables, TTable, TRow>;

  /** The database's clock, as Unix milliseconds. */
  readonly now: RawBuilder<number>;

  /** Makes or adopts the session and writes the run, in one commit; undefined where the session is somebody else's. */
  acceptRun(run: NewRun): Promise<SessionStart | undefined>;
}
