import type { Kysely } from "kysely";
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
import type { migrationNames } from "./names.ts";

function migrations(engine: "sqlite" | "postgres"): Record<(typeof migrationNames)[number], Migration> {
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
 * Runs the migrations that a database lacks.
 *
 * @param done - names of those that have been run. A newer version may have run others: nothing is left to do for them here.
 *   Kysely would refuse to start otherwise, and an older node that is restarted in the middle of a rolling deploy must come up.
 * @throws {DatabaseOpenError} when a migration fails; it was rolled back then
 */
export async function runMigrations(
  db: Kysely<Tables>,
  engine: "sqlite" | "postgres",
  done: readonly string[],
  schema?: string,
): Promise<void> {
  const nothing: Migration = { up: () => Promise.resolve() };
  const all = { ...Object.fromEntries(done.map((name) => [name, nothing])), ...migrations(engine) };
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
