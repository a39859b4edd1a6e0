import { sql } from "kysely";
import { markEnd, markStart, searchable, type TextSearch, type WordQuery } from "../search.ts";
import type { TextIndex } from "./text-index.ts";

/** Full-text search by FTS5. */
export function sqliteSearch(index: TextIndex): TextSearch {
  return {
    upToDate: () => index.upToDate(),
    matches(table, query) {
      const words = sql.table(`${table}_words`);
      return sql`(SELECT rowid AS id, rank FROM ${words} WHERE ${words} MATCH ${expression(table, query)})`;
    },
    snippet(table, id, query) {
      const words = sql.table(`${table}_words`);
      return sql<string>`(SELECT snippet(${words}, 0, ${markStart}, ${markEnd}, '…', 24) FROM ${words}
        WHERE ${words} MATCH ${expression(table, query)} AND rowid = ${id})`;
    },
  };
}

/** @see https://sqlite.org/fts5.html#full_text_query_syntax */
function expression(table: keyof typeof searchable, { words, match, owner }: WordQuery): string {
  const terms = words.map((word) => `"${word}"`);
  const text = match === "all" ? `${terms.join(" AND ")}*` : terms.join(" OR ");
  const inText = `${searchable[table].text}:(${text})`;
  return owner === undefined ? inText : `owner:"${owner}" AND ${inText}`;
}
