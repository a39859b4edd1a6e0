import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { SqliteConnection } from "../../src/db/sqlite/connection.ts";
import { GroupCommit } from "../../src/db/sqlite/group-commit.ts";
import { WalSync } from "../../src/db/sqlite/wal-sync.ts";

test("after one that fails, nobody comes into a transaction that wants to be alone", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "agentos-test-")), "agentos.db");
  const connection = new SqliteConnection(path);
  connection.exec("CREATE TABLE seen (name TEXT)");
  const disk = new WalSync(path);
  const commit = new GroupCommit(connection, disk);
  const insert = (name: string) => connection.exec(`INSERT INTO seen VALUES ('${name}')`);
  const bad = commit.run(() => connection.exec("INSERT INTO missing VALUES (1)"), true);
  const good = ["one", "two", "three"].map((name) => commit.run(() => insert(name), true));
  await expect(bad).rejects.toThrow("missing");
  const order: string[] = [];
  const alone = commit.alone(async () => {
    insert("alone");
    await Promise.all(good);
    for (let i = 0; i < 10; i++) await turn();
    order.push("alone");
  });
  const late = commit.run(() => insert("late"), true).then(() => order.push("late"));
  await Promise.all([alone, late]);
  expect(order).toEqual(["alone", "late"]);
  const names = connection.statement("SELECT name FROM seen").all();
  expect(names.map(({ name }) => name)).toEqual(["one", "two", "three", "alone", "late"]);
  disk.close();
  connection.close();
});
