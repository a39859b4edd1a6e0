import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { Kysely, SqliteDialect } from "kysely";
import { expect, test } from "vitest";
import type { Tables } from "../../src/db/schema.ts";
import { BatchWriter } from "../../src/db/sqlite/batch-writer.ts";
import { SqliteConnection } from "../../src/db/sqlite/connection.ts";
import { GroupCommit } from "../../src/db/sqlite/group-commit.ts";
import { runStatements } from "../../src/db/sqlite/run-statements.ts";
import { WalSync } from "../../src/db/sqlite/wal-sync.ts";
import { LocalWriter } from "../../src/db/sqlite/writer.ts";
import { ThreadWriter } from "../../src/db/sqlite/writer-thread.ts";

const insert = "INSERT INTO seen VALUES (?)";

test.each(["thread", "local"])(
  "after one that fails, nobody comes into a transaction that wants to be alone: %s",
  async (kind) => {
    const path = join(await mkdtemp(join(tmpdir(), "agentos-test-")), "agentos.db");
    const connection = new SqliteConnection(path);
    connection.exec("CREATE TABLE seen (name TEXT)");
    const statements = runStatements(
      new Kysely<Tables>({ dialect: new SqliteDialect({ database: connection.forKysely() }) }),
    );
    const disk = new WalSync(path);
    const writer =
      kind === "thread"
        ? new ThreadWriter(path, statements)
        : new LocalWriter(new BatchWriter(connection, statements));
    const commit = new GroupCommit(connection, disk, writer);
    const add = (name: string) => commit.run({ kind: "query", sql: insert, values: [[name]] }, true);
    const bad = commit.run({ kind: "query", sql: "INSERT INTO missing VALUES (1)", values: [[]] }, true);
    const good = ["one", "two", "three"].map(add);
    const failed = expect(bad).rejects.toThrow("missing");
    const order: string[] = [];
    const alone = commit.alone(async () => {
      connection.statement(insert).run("alone");
      await Promise.all(good);
      for (let i = 0; i < 10; i++) await turn();
      order.push("alone");
    });
    const late = add("late").then(() => order.push("late"));
    await Promise.all([failed, alone, late]);
    expect(order).toEqual(["alone", "late"]);
    const names = connection.statement("SELECT name FROM seen").all();
    expect(names.map(({ name }) => name)).toEqual(["one", "two", "three", "alone", "late"]);
    await writer.close();
    disk.close();
    connection.close();
  },
);
