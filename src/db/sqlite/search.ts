import { type RawBuilder, sql } from "kysely";
import { searchable, type TextSearch, type WordQuery } from "../search.ts";
import type { TextIndex } from "./text-index.ts";

/** Full-text search by FTS5. */
export function sqliteSearch(index: TextIndex): TextSearch {
  return {
    upToDate: () => index.upToDate(),
    matches(table, query) {
      const index = sql.table(`${table}_words`);
      const limit = query.limit === undefined ? sql`` : sql`ORDER BY rowid DESC LIMIT ${query.limit}`;
      const matching = sql`${index} WHERE ${index} MATCH ${expression(table, query)} ${limit}`;
      if (query.match === "any") return sql`(SELECT rowid AS id, rank FROM ${matching})`;
      const { id, text } = searchable[table];
      return sql`(SELECT id, ${density(query.words)} AS rank FROM
        (SELECT ${sql.ref(id)} AS id, upper(${sql.ref(text)}) AS said FROM ${sql.table(table)}
          WHERE ${sql.ref(id)} IN (SELECT rowid FROM ${matching})))`;
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

/**
 * How much of a text is the words, as BM25 counts it, the lower the better. How rare a word is does not matter where all
 * must be there; to find that out, FTS5 would read every text of everybody that has it.
 */
function density(words: readonly string[]): RawBuilder<number> {
  const terms = words.map((word) => {
    // `upper` is SQLite's own, which is quicker than one that knows every alphabet.
    const times = sql`(length(said) - length(replace(said, upper(${word}), ''))) * 1.0 / length(${word})`;
    return sql`${times} / (${times} + 0.3 + length(said) / ${usualLength})`;
  });
  return sql`-(${sql.join(terms, sql` + `)})`;
}

/** Characters of a text that is neither short nor long. */
const usualLength = 300;
