import type { SqliteConnection } from "./connection.ts";

/** Indexes the words of the texts that have waited longest. Stands inside a transaction. @returns how many there were */
export function indexTexts(connection: SqliteConnection, most: number): number {
  const first = "(SELECT text_id FROM session_texts_unindexed ORDER BY text_id LIMIT ?)";
  const { changes } = connection
    .statement(
      `INSERT INTO session_texts_words (rowid, text, owner)
       SELECT text_id, text, owner FROM session_texts WHERE text_id IN ${first}`,
    )
    .run(most);
  connection.statement(`DELETE FROM session_texts_unindexed WHERE text_id IN ${first}`).run(most);
  return Number(changes);
}
