import type { Kysely, RawBuilder, SelectQueryBuilder } from "kysely";
import type { PreparedQuery } from "./prepared.ts";
import type { LogRow } from "./queries/log-page.ts";
import type { Acceptance, LogCursor, NewRun, QueueLimits, StoredEnd } from "./records.ts";
import type { Tables } from "./schema.ts";
import type { TextSearch } from "./search.ts";

/** What the two engines do each in its own way. Everything else is the same queries on both. */
export interface Engine {
  readonly name: "sqlite" | "postgres";
  readonly db: Kysely<Tables>;

  readonly search: TextSearch;

  /** Runs a query that was built once. */
  all<TParameters, TRow>(query: PreparedQuery<TParameters, TRow>, parameters: TParameters): Promise<TRow[]>;

  /** Runs a statement that writes, in a commit of its own. A power cut may undo it, a crash does not. */
  write<TParameters, TRow>(query: PreparedQuery<TParameters, TRow>, parameters: TParameters): Promise<TRow[]>;

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

  /** A page of each of several logs, each from right after an index on. */
  logPages(wanted: readonly LogCursor[]): Promise<LogRow[][]>;

  /** The place of a run that is put at the end of the order, as one that is accepted now would be. */
  readonly nextOrder: RawBuilder<number>;

  /** The database's clock, as Unix milliseconds. */
  readonly now: RawBuilder<number>;

  /** A table as a query that is written by hand names it. */
  table(name: keyof Tables): RawBuilder<unknown>;

  /** What ends a select by hand that locks the rows of `alias`, and passes over those that somebody else has locked. */
  lockOf(alias: string): RawBuilder<unknown>;

  /** Tells of a run that was ended here, and by no process that is at it. */
  ended(end: StoredEnd): void;

  /** Makes or adopts the session and writes the run, in one commit. A background run must find room in the queue. */
  acceptRun(run: NewRun, limits: QueueLimits): Promise<Acceptance>;
}
