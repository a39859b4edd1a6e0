import { sql } from "kysely";
import { searchable, type TextSearch, type WordQuery } from "../search.ts";

/** Texts of one owner that are read one by one. */
const fewTexts = 3000;

/** Full-text search by `tsvector`, in the words of the `simple` configuration: no language is assumed. */
export function postgresSearch(schema: string): TextSearch {
  return {
    upToDate: () => Promise.resolve(),
    matches(table, query) {
      const rows = sql.id(schema, table);
      const id = sql.ref(searchable[table].id);
      const wanted = sql`to_tsquery('simple', ${expression(query)}) AS query`;
      const found = sql`SELECT ${id} AS id, -ts_rank(words, query) AS rank`;
      const newest = query.limit === undefined ? sql`` : sql`ORDER BY id DESC LIMIT ${query.limit}`;
      if (query.owner === undefined)
        return sql`(${found} FROM ${rows}, ${wanted} WHERE words @@ query ${newest})`;
      // The index of words does not know owners, and would collect everybody's texts: those of most users are quicker read.
      return sql`(
        WITH own AS MATERIALIZED (
          SELECT ${id}, words FROM ${rows} WHERE owner = ${query.owner} LIMIT ${fewTexts + 1}
        ), many AS MATERIALIZED (SELECT count(*) > ${fewTexts} AS so FROM own)
        ${found} FROM own, ${wanted} WHERE words @@ query AND NOT (SELECT so FROM many)
        UNION ALL
        (${found} FROM ${rows}, ${wanted}
          WHERE words @@ query AND owner = ${query.owner} AND (SELECT so FROM many) ${newest}))`;
    },
  };
}

/** @see https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSQUERY */
function expression({ words, match }: WordQuery): string {
  const terms = words.map((word) => `'${word}'`);
  return match === "all" ? `${terms.join(" & ")}:*` : terms.join(" | ");
}
