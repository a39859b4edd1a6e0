import { DatabaseSync, StatementSync } from "node:sqlite";
import pg from "pg";
import { vi } from "vitest";
import { ThreadWriter } from "../../src/db/sqlite/writer-thread.ts";
import type { Write } from "../../src/db/sqlite/writes.ts";
import type { Engine } from "./engines.ts";

/** A statement as the database library is given it. */
export interface Statement {
  text: string;
  values: unknown[];
}

/** All statements from now on, the newest last. */
export function watchStatements(engine: Engine): Statement[] {
  const statements: Statement[] = [];
  const watch = (target: object, method: string, of: (self: unknown, args: unknown[]) => Statement) => {
    const methods = target as Record<string, (...args: unknown[]) => unknown>;
    const original = methods[method]!;
    vi.spyOn(methods, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
      statements.push(of(this, args));
      return original.apply(this, args);
    });
  };
  if (engine.name === "postgres") {
    watch(pg.Client.prototype, "query", (_, [first, second]) => {
      const { text, values } = (typeof first === "string" ? { text: first } : first) as Partial<Statement>;
      return { text: text!, values: values ?? (Array.isArray(second) ? second : []) };
    });
  } else {
    for (const method of ["all", "get", "run"]) {
      watch(StatementSync.prototype, method, (self, values) => ({
        text: (self as StatementSync).sourceSQL,
        values,
      }));
    }
    // What is written is written by another thread.
    watch(ThreadWriter.prototype, "write", (_, [write]) => {
      const { kind, sql } = write as Write & { sql?: string };
      return { text: sql ?? kind, values: [] };
    });
  }
  return statements;
}

/** How a database does a statement. */
export async function planOf(engine: Engine, location: string, { text, values }: Statement): Promise<string> {
  if (engine.name === "sqlite") {
    const db = new DatabaseSync(location);
    const rows = db.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...(values as string[]));
    db.close();
    return rows.map((row) => row["detail"]).join("\n");
  }
  const client = new pg.Client({ connectionString: location, options: "-c search_path=agentos" });
  await client.connect();
  const { rows } = await client.query(`EXPLAIN ${text}`, values);
  await client.end();
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}
