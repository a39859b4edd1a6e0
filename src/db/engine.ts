import type { Kysely } from "kysely";
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

  /** Makes or adopts the session and writes the run, in one commit; undefined where the session is somebody else's. */
  acceptRun(run: NewRun): Promise<SessionStart | undefined>;
}
