import { randomUUID } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, PostgresDb, SqliteDb } from "agentos-ts";
import pg from "pg";
import { inject } from "vitest";

/** A database engine under test. */
export interface Engine {
  name: "sqlite" | "postgres";
  /** Where a new, empty database is: a file's path, or a URL. */
  createLocation(): Promise<string>;
  /** A handle on a database. It is opened by whoever uses it first. */
  connect(location: string): Database;
  /** Settings that make a server use it. */
  environment(location: string): Record<string, string>;
}

/** Both engines: behaviour that does not depend on one is tested on each, with `describe.each(engines)`. */
export const engines: Engine[] = [
  {
    name: "sqlite",
    createLocation: async () => join(await mkdtemp(join(tmpdir(), "agentos-test-")), "agentos.db"),
    connect: (path) => new SqliteDb({ path }),
    environment: (path) => ({ AGENTOS_SQLITE_PATH: path, DATABASE_URL: "" }),
  },
  {
    name: "postgres",
    async createLocation() {
      const url = inject("postgresUrl");
      const name = `test_${randomUUID().replaceAll("-", "")}`;
      const client = new pg.Client(url);
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      return url.replace(/\/[^/]+$/, `/${name}`);
    },
    connect: (url) => new PostgresDb({ url }),
    environment: (url) => ({ DATABASE_URL: url }),
  },
];
