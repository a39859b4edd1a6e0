import { type Kysely, sql } from "kysely";
import { prepareSql } from "../prepared.ts";
import { type LogRow, logPage, type TableNamer } from "../queries/log-page.ts";
import type { Tables } from "../schema.ts";

/** A page of each of several logs, in one round trip; `place` says which was asked for, from 1. */
export function logPagesQuery(db: Kysely<Tables>, table: TableNamer) {
  return prepareSql<{ runs: string[]; afters: number[] }>(db)(
    (value) => sql<LogRow & { place: number }>`
      SELECT wanted.place, page.*
      FROM unnest(${value("runs")}::text[], ${value("afters")}::integer[]) WITH ORDINALITY AS wanted(run_id, after, place)
      CROSS JOIN LATERAL (${logPage(table, sql`wanted.run_id`, sql`wanted.after`)}) AS page
      ORDER BY wanted.place, page.first_index`,
  );
}
