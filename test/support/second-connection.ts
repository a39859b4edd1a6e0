import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import type { Engine } from "./engines.ts";

/** Asks a database past the server that has it open: what is committed, and nothing else. */
export async function query<TRow>(engine: Engine, location: string, sql: string): Promise<TRow[]> {
  if (engine.name === "sqlite") {
    const db = new DatabaseSync(location, { timeout: 5000 });
    try {
      return db.prepare(sql).all() as TRow[];
    } finally {
      db.close();
    }
  }
  const client = new pg.Client({ connectionString: location, options: "-c search_path=agentos" });
  await client.connect();
  try {
    return (await client.query(sql)).rows as TRow[];
  } finally {
    await client.end();
  }
}

/** How many rows each table holds. */
export async function countRows(engine: Engine, location: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ["sessions", "runs", "messages", "run_events", "media", "run_media"]) {
    const [row] = await query<{ n: number | string }>(engine, location, `SELECT count(*) AS n FROM ${table}`);
    counts[table] = Number(row?.n);
  }
  return counts;
}
