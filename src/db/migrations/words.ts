import { type Kysely, sql } from "kysely";

/** A table whose rows are found by their words. It must hold the text and an owner, both as columns. */
export interface WordsOf {
  table: string;
  /** Its key: a whole number that SQLite keeps as the row's id. */
  id: string;
  text: string;
  /** A column with one word that stands for whoever the row belongs to; empty for nobody. */
  owner: string;
}

/**
 * Makes a table's text searchable by the database's own means, kept up to date by it. The owner is part of the index: what
 * one user searches costs what that user has, not what all have.
 */
export async function indexWords(
  db: Kysely<unknown>,
  engine: "sqlite" | "postgres",
  of: WordsOf,
): Promise<void> {
  if (engine === "postgres") await withTsvector(db, of);
  else await withFts5(db, of);
}

async function withTsvector(db: Kysely<unknown>, { table, text, owner }: WordsOf): Promise<void> {
  const words = sql`to_tsvector('simple'::regconfig, ${sql.ref(text)} || ' ' || ${sql.ref(owner)})`;
  await db.schema
    .alterTable(table)
    .addColumn("words", sql`tsvector`, (column) => column.generatedAlwaysAs(words).stored())
    .execute();
  await db.schema.createIndex(`${table}_by_words`).on(table).using("gin").column("words").execute();
}

async function withFts5(db: Kysely<unknown>, { table, id, text, owner }: WordsOf): Promise<void> {
  const [name, key, words, whose] = [sql.table(`${table}_words`), sql.ref(id), sql.ref(text), sql.ref(owner)];
  const run = (statement: ReturnType<typeof sql>) => statement.execute(db);
  await run(sql`CREATE VIRTUAL TABLE ${name} USING fts5(
    ${words}, ${whose}, content=${sql.lit(table)}, content_rowid=${sql.lit(id)}, tokenize='unicode61 remove_diacritics 2')`);
  // The index holds no text of its own: to take a row out of it, it must be told what it took in.
  const added = sql`INSERT INTO ${name} (rowid, ${words}, ${whose}) VALUES (new.${key}, new.${words}, new.${whose});`;
  const removed = sql`INSERT INTO ${name} (${name}, rowid, ${words}, ${whose})
    VALUES ('delete', old.${key}, old.${words}, old.${whose});`;
  const on = sql.table(table);
  await run(
    sql`CREATE TRIGGER ${sql.table(`${table}_words_insert`)} AFTER INSERT ON ${on} BEGIN ${added} END`,
  );
  await run(
    sql`CREATE TRIGGER ${sql.table(`${table}_words_delete`)} AFTER DELETE ON ${on} BEGIN ${removed} END`,
  );
  await run(sql`CREATE TRIGGER ${sql.table(`${table}_words_update`)} AFTER UPDATE OF ${words}, ${whose} ON ${on}
    BEGIN ${removed} ${added} END`);
}
