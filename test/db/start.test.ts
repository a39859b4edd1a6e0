import { symlink } from "node:fs/promises";
import { Agent, EchoModel, PostgresDb, SqliteDb } from "agentos-ts";
import pg from "pg";
import { afterEach, describe, expect, test } from "vitest";
import { engines } from "../support/engines.ts";
import { query } from "../support/second-connection.ts";
import { type ServerProcess, startInVain, startServerProcess } from "../support/server-process.ts";

const [sqlite, postgres] = [engines[0]!, engines[1]!];
const started: ServerProcess[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.kill("SIGKILL")));
});

async function start(environment: Record<string, string>): Promise<ServerProcess> {
  const server = await startServerProcess(environment);
  started.push(server);
  return server;
}

async function isReady({ url }: ServerProcess): Promise<boolean> {
  return (await fetch(`${url}/readyz`)).ok;
}

describe("PostgreSQL", () => {
  test("four servers that start at once on an empty database all serve", async () => {
    const environment = postgres.environment(await postgres.createLocation());
    const servers = await Promise.all(Array.from({ length: 4 }, () => start(environment)));
    expect(await Promise.all(servers.map(isReady))).toEqual([true, true, true, true]);
  });

  test("a pool of one connection is enough to start", async () => {
    const db = new PostgresDb({ url: await postgres.createLocation(), poolSize: 1 });
    await db.open();
    await db.ping();
    await db.close();
  });

  test("a table named migrations elsewhere in the database is left alone", async () => {
    const url = await postgres.createLocation();
    const client = new pg.Client(url);
    await client.connect();
    await client.query("CREATE TABLE migrations (id int)");
    const db = new PostgresDb({ url });
    await db.open();
    expect((await client.query("SELECT * FROM migrations")).rows).toEqual([]);
    await client.end();
    await db.close();
  });

  test("a wrong password ends the start with one line that does not show it", async () => {
    const url = new URL(await postgres.createLocation());
    url.password = "s3cret-and-wrong";
    const { code, stderr } = await startInVain({ DATABASE_URL: url.toString() });
    expect(code).toBe(1);
    expect(stderr).not.toContain("s3cret");
    expect(stderr).toMatch(/The PostgreSQL database .* cannot be opened: .*password/);
  });
});

describe("SQLite", () => {
  test("a second server on the same file is refused with one clear line", async () => {
    const path = await sqlite.createLocation();
    const first = await start(sqlite.environment(path));
    const { code, stderr } = await startInVain(sqlite.environment(path));
    expect(code).not.toBe(0);
    expect(stderr).toContain(`The SQLite database ${path} is in use by another server.`);
    expect(await isReady(first)).toBe(true);
  });

  test("a second server that comes by a link to the file is refused as well", async () => {
    const path = await sqlite.createLocation();
    const db = new SqliteDb({ path });
    await db.open();
    await symlink(path, `${path}.link`);
    await expect(new SqliteDb({ path: `${path}.link` }).open()).rejects.toThrow("in use by another server");
    await db.close();
  });

  test("a server that was killed leaves no lock behind", async () => {
    const path = await sqlite.createLocation();
    await (await start(sqlite.environment(path))).kill("SIGKILL");
    expect(await isReady(await start(sqlite.environment(path)))).toBe(true);
  });

  test("a server that was stopped leaves no lock behind", async () => {
    const path = await sqlite.createLocation();
    await (await start(sqlite.environment(path))).kill("SIGTERM");
    expect(await isReady(await start(sqlite.environment(path)))).toBe(true);
  });
});

describe.each(engines)("on $name", (engine) => {
  test("what a newer version did to the schema does not keep this one from starting", async () => {
    const location = await engine.createLocation();
    const first = engine.connect(location);
    await first.open();
    await first.close();
    await query(
      engine,
      location,
      "INSERT INTO migrations (name, timestamp) VALUES ('999-of-a-newer-version', '2027-01-01T00:00:00.000Z')",
    );
    const again = engine.connect(location);
    const agent = new Agent({ id: "copilot", model: new EchoModel(), db: again });
    expect((await agent.run("hello")).content).toContain("hello");
    await again.close();
  });
});
