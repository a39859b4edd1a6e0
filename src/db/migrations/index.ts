import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { DatabaseOpenError } from "../../errors.ts";
import type { Tables } from "../schema.ts";
import { runs } from "./001-runs.ts";
import { sessions } from "./002-sessions.ts";
import { memories } from "./003-memories.ts";
import { nodes } from "./004-nodes.ts";
import { queue } from "./005-queue.ts";
import { telemetry } from "./006-telemetry.ts";
import { access } from "./007-access.ts";

/** In the order in which they are run. They only add: an older node goes on beside a newer schema. */
function migrations(engine: "sqlite" | "postgres"): Record<string, Migration> {
  return {
    "001-runs": runs(engine),
    "002-sessions": sessions(engine),
    "003-memories": memories(engine),
    "004-nodes": nodes(),
    "005-queue": queue(),
    "006-telemetry": telemetry(),
    "007-access": access(engine),
  };
}

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
  // Read before: while it migrates, Kysely holds the only connection of a SQLite database.
  const all = { ...(await ofNewerVersions(db, schema)), ...migrations(engine) };
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(all) },
    migrationTableName: "migrations",
    migrationLockTableName: "migrations_lock",
    ...(schema === undefined ? {} : { migrationTableSchema: schema }),
  });
  const { error, results } = await migrator.migrateToLatest();
  if (!error) return;
  const failed = results?.find((result) => result.status === "Error")?.migrationName;
  const reason = error instanceof Error ? error.message : String(error);
  throw new DatabaseOpenError(
    `The database could not be brought up to date${failed ? ` (${failed})` : ""}: ${reason}`,
    {
      cause: error,
    },
  );
}

/**
 * What a newer version has run already: nothing is left to do for it here. Kysely would refuse to start otherwise, and an
 * older node that is restarted in the middle of a rolling deploy must come up.
 */
async function ofNewerVersions(db: Kysely<Tables>, schema?: string): Promise<Record<string, Migration>> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === "migrations" && table.schema === schema)) return {};
  // A raw query is not given the schema by Kysely.
  const table = schema === undefined ? sql.id("migrations") : sql.id(schema, "migrations");
  const { rows } = await sql<{ name: string }>`select name from ${table}`.execute(db);
  return Object.fromEntries(rows.map(({ name }) => [name, { up: () => Promise.resolve() }]));
}
