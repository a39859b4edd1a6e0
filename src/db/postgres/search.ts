import { sql } from "kysely";
import { searchable, type TextSearch, type WordQuery } from "../search.ts";

/** Full-text search by `tsvector`, in the words of the `simple` configuration: no language is assumed. */
export function postgresSearch(schema: string): TextSearch {
  return {
    upToDate: () => Promise.resolve(),
    matches(table, query) {
      const rows = sql.id(schema, table);
      return sql`(SELECT ${sql.ref(searchable[table].id)} AS id, -ts_rank(words, query) AS rank
        FROM ${rows}, to_tsquery('simple', ${expression(query)}) AS query WHERE words @@ query
        ${query.owner === undefined ? sql`` : sql`AND owner = ${query.owner}`}
        ${query.limit === undefined ? sql`` : sql`LIMIT ${query.limit}`})`;
    },
  };
}

/** @see https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSQUERY */
function expression({ words, match }: WordQuery): string {
  const terms = words.map((word) => `'${word}'`);
  return match === "all" ? `${terms.join(" & ")}:*` : terms.join(" | ");
}
