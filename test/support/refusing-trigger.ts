import type { Engine } from "./engines.ts";
import { query } from "./second-connection.ts";

/**
 * Makes a database refuse to change rows of `runs`, for no fault of its own.
 *
 * @param when - which, in SQL; `NEW` is the row as it would be
 */
export async function refuseChanges(engine: Engine, location: string, when: string): Promise<void> {
  if (engine.name === "sqlite") {
    const text = `CREATE TRIGGER refuse BEFORE UPDATE ON runs WHEN ${when} BEGIN SELECT RAISE(ABORT, 'refused'); END`;
    await query(engine, location, text);
    return;
  }
  await query(
    engine,
    location,
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
  );
  await query(
    engine,
    location,
    `CREATE TRIGGER refuse BEFORE UPDATE ON runs FOR EACH ROW WHEN (${when}) EXECUTE FUNCTION refuse()`,
  );
}
