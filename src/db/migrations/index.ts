import { type Kysely, sql } from "kysely";
import type { Tables } from "../schema.ts";
import { migrationNames } from "./names.ts";

/**
 * Brings the tables up to date. What is newer than this version is left alone.
 *
 * @throws {DatabaseOpenError} when a migration fails; it was rolled back then
 */
export async function migrate(
  db: Kysely<Tables>,
  engine: "sqlite" | "postgres",
  schema?: string,
): Promise<void> {
  const done = await doneMigrations(db, engine, schema);
  if (migrationNames.every((name) => done.includes(name))) return;
  // Most starts find all of them done, and need none of their code.
  const { runMigrations } = await import("./run.ts");
  await runMigrations(db, engine, done, schema);
}

/** Names of those that have been run, by this version or by a newer one. */
async function doneMigrations(
  db: Kysely<Tables>,
  engine: "sqlite" | "postgres",
  schema?: string,
): Promise<string[]> {
  const existing =
    engine === "sqlite"
      ? sql`select 1 from sqlite_master where type = 'table' and name = 'migrations'`
      : sql`select 1 from pg_catalog.pg_tables where schemaname = ${schema} and tablename = 'migrations'`;
  if ((await existing.execute(db)).rows.length === 0) return [];
  // A raw query is not given the schema by Kysely.
  const table = schema === undefined ? sql.id("migrations") : sql.id(schema, "migrations");
  const { rows } = await sql<{ name: string }>`select name from ${table}`.execute(db);
  return rows.map(({ name }) => name);
}
