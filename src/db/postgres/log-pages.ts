import { type Kysely, sql } from "kysely";
import { prepareSql } from "../prepared.ts";
import { type LogRow, logPage, type TableNamer } from "../queries/log-page.ts";
import type { Tables } from "../schema.ts";

/** A page of each of several logs, in one round trip. */
export function logPagesQuery(db: Kysely<Tables>, table: TableNamer) {
  return prepareSql<{ runs: string[]; afters: number[] }>(db)(
    (value) => sql<LogRow>`
      SELECT page.* FROM unnest(${value("runs")}::text[], ${value("afters")}::integer[]) AS wanted(run_id, after)
      CROSS JOIN LATERAL (${logPage(table, sql`wanted.run_id`, sql`wanted.after`)}) AS page
      ORDER BY page.run_id, page.first_index`,
  );
}
