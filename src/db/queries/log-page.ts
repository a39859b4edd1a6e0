import { type Kysely, type RawBuilder, sql } from "kysely";
import { prepareSql } from "../prepared.ts";
import type { Tables } from "../schema.ts";

/** Rows of one log that are read at once; each may hold 1 MiB. */
const pageRows = 8;

/** A table as a query that is written by hand names it. */
export type TableNamer = (name: keyof Tables) => RawBuilder<unknown>;

/** A stretch of a stored log. */
export interface LogRow {
  first_index: number;
  /** JSON of its events. */
  events: string;
}

/**
 * The rows of a log that follow on an index, as many as make a page. The row before tells where to begin in the index: else
 * each page would read past all that the reader has.
 */
export function logPage(
  table: TableNamer,
  run: RawBuilder<string>,
  after: RawBuilder<number>,
): RawBuilder<LogRow> {
  const events = table("run_events");
  return sql<LogRow>`
    SELECT log.first_index, log.events FROM ${events} AS log
    WHERE log.run_id = ${run} AND log.last_index > ${after} AND log.first_index >= coalesce((
      SELECT before.first_index FROM ${events} AS before
      WHERE before.run_id = ${run} AND before.first_index <= ${after} + 1 ORDER BY before.first_index DESC LIMIT 1), 0)
    ORDER BY log.first_index LIMIT ${sql.lit(pageRows)}`;
}

/** {@link logPage} for one log. */
export function logPageQuery(db: Kysely<Tables>, table: TableNamer) {
  return prepareSql<{ run: string; after: number }>(db)((value) =>
    logPage(table, sql`${value("run")}`, sql`${value("after")}`),
  );
}
