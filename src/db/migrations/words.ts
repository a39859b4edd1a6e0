import { type Kysely, sql } from "kysely";

/** A table whose rows are found by their words. It must hold the text and an owner, both as columns. */
export interface WordsOf {
  table: string;
  /** Its key: a whole number that SQLite keeps as the row's id. */
  id: string;
  text: string;
  /** A column with one word that stands for whoever the row belongs to; empty for nobody. */
  owner: string;
  /**
   * Whether SQLite indexes new rows later and many at once, which costs a tenth. They wait in a table of their own
   * (`…_unindexed`), and a search indexes them first.
   */
  later?: boolean;
}

/**
 * Makes a table's text searchable by the database's own means, kept up to date by it. The owner is indexed too: what one
 * user searches costs what that user has, not what all have.
 */
export async function indexWords(
  db: Kysely<unknown>,
  engine: "sqlite" | "postgres",
  of: WordsOf,
): Promise<void> {
  if (engine === "postgres") await withTsvector(db, of);
  else await withFts5(db, of);
}

const signs = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

async function withTsvector(db: Kysely<unknown>, { table, text, owner }: WordsOf): Promise<void> {
  // Words alone, as a search has them: else `sarah@acme.com`, `src/db` and `3.1` would each be one that no part of it finds.
  const said = sql`translate(${sql.ref(text)}, ${sql.lit(signs)}, ${sql.lit(" ".repeat(signs.length))})`;
  const words = sql`to_tsvector('simple'::regconfig, ${said})`;
  await db.schema
    .alterTable(table)
    .addColumn("words", sql`tsvector`, (column) => column.generatedAlwaysAs(words).stored())
    .execute();
  await db.schema.createIndex(`${table}_by_words`).on(table).using("gin").column("words").execute();
  // Not a word of the same index: for the beginning of a word that would collect everybody's texts first.
  await db.schema.createIndex(`${table}_by_owner`).on(table).column(owner).execute();
}

async function withFts5(db: Kysely<unknown>, { table, id, text, owner, later }: WordsOf): Promise<void> {
  const [index, key, words, whose] = [
    sql.table(`${table}_words`),
    sql.ref(id),
    sql.ref(text),
    sql.ref(owner),
  ];
  const run = (statement: ReturnType<typeof sql>) => statement.execute(db);
  await run(sql`CREATE VIRTUAL TABLE ${index} USING fts5(
    ${words}, ${whose}, content=${sql.lit(table)}, content_rowid=${sql.lit(id)}, tokenize='unicode61 remove_diacritics 2')`);

  const unindexed = sql.table(`${table}_unindexed`);
  if (later) await run(sql`CREATE TABLE ${unindexed} (${key} integer PRIMARY KEY)`);
  const add = later
    ? sql`INSERT OR IGNORE INTO ${unindexed} (${key}) VALUES (new.${key});`
    : sql`INSERT INTO ${index} (rowid, ${words}, ${whose}) VALUES (new.${key}, new.${words}, new.${whose});`;
  // The index holds no text of its own: to take a row out of it, it must be told what it took in.
  const remove = sql`INSERT INTO ${index} (${index}, rowid, ${words}, ${whose})
    VALUES ('delete', old.${key}, old.${words}, old.${whose});`;
  const indexed = later ? sql`WHEN NOT EXISTS (SELECT 1 FROM ${unindexed} WHERE ${key} = old.${key})` : sql``;

  const on = sql.table(table);
  const trigger = (name: string) => sql.table(`${table}_words_${name}`);
  await run(sql`CREATE TRIGGER ${trigger("insert")} AFTER INSERT ON ${on} BEGIN ${add} END`);
  await run(sql`CREATE TRIGGER ${trigger("update")} AFTER UPDATE OF ${words}, ${whose} ON ${on} ${indexed}
    BEGIN ${remove} ${add} END`);
  // One trigger for both: SQLite does not say which of two fires first, and what is taken out of the index unread breaks it.
  const forget = sql`INSERT INTO ${index} (${index}, rowid, ${words}, ${whose})
      SELECT 'delete', old.${key}, old.${words}, old.${whose}
      WHERE NOT EXISTS (SELECT 1 FROM ${unindexed} WHERE ${key} = old.${key});
    DELETE FROM ${unindexed} WHERE ${key} = old.${key};`;
  await run(
    sql`CREATE TRIGGER ${trigger("delete")} AFTER DELETE ON ${on} BEGIN ${later ? forget : remove} END`,
  );
}
