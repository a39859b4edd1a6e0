import { createHash } from "node:crypto";
import { type Database, PostgresDb, SqliteDb } from "agentos-ts";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { engines } from "../support/engines.ts";
import { proxyOf, type TcpProxy } from "../support/tcp-proxy.ts";

const postgres = engines[1]!;

type Signal = Parameters<ReturnType<Database["signals"]>["publish"]>[0];

/** What one process hears, and promises of what it will. */
class Ear {
  readonly heard: Signal[] = [];
  readonly outages: Error[] = [];
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
    db.signals().subscribe({
      signal: (signal) => this.heard.push(signal),
      outage: (error) => this.outages.push(error),
    });
  }

  /** Resolves when signals may come again. */
  connected(): Promise<void> {
    return new Promise((resolve) => {
      const end = this.#db.signals().subscribe({ resync: () => resolve(end()) });
    });
  }

  /** Resolves with the next signal that fits. */
  next(fits: (signal: Signal) => boolean = () => true): Promise<Signal> {
    return new Promise((resolve) => {
      const end = this.#db.signals().subscribe({
        signal: (signal) => {
          if (!fits(signal)) return;
          end();
          resolve(signal);
        },
      });
    });
  }
}

describe("between processes on PostgreSQL", () => {
  let url: string;
  let proxy: TcpProxy;
  let here: PostgresDb;
  let there: PostgresDb;
  let ear: Ear;

  beforeEach(async () => {
    url = await postgres.createLocation();
    const through = await proxyOf(url);
    proxy = through.proxy;
    here = new PostgresDb({ url });
    there = new PostgresDb({ url, listenUrl: through.url });
    await here.open();
    ear = new Ear(there);
    const connected = ear.connected();
    await there.open();
    await connected;
  });
  afterEach(async () => {
    await Promise.all([here.close(), there.close()]);
    await proxy.close();
  });

  const signals: Signal[] = [
    { kind: "log", runId: "run_1", index: 7 },
    { kind: "cancel", runId: "run_1" },
    { kind: "queue" },
    { kind: "session", sessionId: 'sitzung "ä"\\', runId: "run_1" },
  ];

  test("each kind arrives as it was sent, here and there, each once", async () => {
    const own = new Ear(here);
    const last = ear.next(({ kind }) => kind === "session");
    for (const signal of signals) here.signals().publish(signal);
    await last;
    expect(ear.heard).toEqual(signals);
    expect(own.heard).toEqual(signals);
  });

  test("what piles up is joined: of a run's log the last index, of all else each once, however much it is", async () => {
    const runIds = Array.from({ length: 500 }, (_, i) => `run_${"x".repeat(40)}${i}`);
    const last = ear.next(({ kind }) => kind === "queue");
    for (const runId of runIds) {
      for (let index = 0; index < 20; index++) here.signals().publish({ kind: "log", runId, index });
      here.signals().publish({ kind: "cancel", runId });
    }
    here.signals().publish({ kind: "queue" });
    await last;
    expect(ear.heard).toHaveLength(2 * runIds.length + 1);
    const logs = ear.heard.filter((signal) => signal.kind === "log");
    expect(logs).toEqual(runIds.map((runId) => ({ kind: "log", runId, index: 19 })));
  });

  test("a schema has signals of its own", async () => {
    const other = new PostgresDb({ url, schema: "other" });
    await other.open();
    other.signals().publish({ kind: "cancel", runId: "other" });
    await other.close();
    const next = ear.next();
    here.signals().publish({ kind: "queue" });
    expect(await next).toEqual({ kind: "queue" });
  });

  test("what others send over the channel does no harm, and what a later version sends is left out", async () => {
    const client = new pg.Client(url);
    await client.connect();
    // The channel of the schema `agentos`.
    const channel = `agentos_${createHash("sha256").update("agentos").digest("hex").slice(0, 16)}`;
    const next = ear.next();
    for (const payload of [
      "nonsense",
      "7",
      "null",
      '{"kind":"queue"}',
      '["later",{"kind":"later"},7,null,{"kind":"log","runId":"run_1","index":"a"},{"kind":"cancel"}]',
      '["other",{"kind":"cancel","runId":"run_2"}]',
    ]) {
      await client.query("SELECT pg_notify($1, $2)", [channel, payload]);
    }
    expect(await next).toEqual({ kind: "cancel", runId: "run_2" });
    expect(ear.heard).toHaveLength(1);
    await client.end();
  });

  test.each([
    ["cut", () => proxy.stop()],
    ["ended by the database", () => terminate(url, "agentos listener")],
  ])(
    "a listener that is %s connects again, says that it may have missed something, and hears again",
    async (_, lose) => {
      const lost = new Promise<void>((resolve) => there.signals().subscribe({ outage: () => resolve() }));
      const again = ear.connected();
      await lose();
      await lost;
      // This one may be lost: nobody listens.
      here.signals().publish({ kind: "cancel", runId: "lost" });
      proxy.resume();
      await again;
      const next = ear.next(({ kind }) => kind === "queue");
      here.signals().publish({ kind: "queue" });
      await next;
      expect(ear.outages).toHaveLength(1);
    },
  );

  test("a sender whose connection the database ended sends again", async () => {
    for (const runId of ["run_1", "run_2", "run_3"]) {
      const next = ear.next((signal) => signal.kind === "cancel" && signal.runId === runId);
      here.signals().publish({ kind: "cancel", runId });
      await next;
      await terminate(url, "agentos notifier");
    }
  });

  test("while no other process is alive, nothing is sent; as soon as one is, it is", async () => {
    const alone = new Ear(here);
    await here.leases().beat("here", 60_000);
    const local = alone.next();
    here.signals().publish({ kind: "cancel", runId: "run_1" });
    await local;
    await here.leases().beat("there", 60_000);
    const next = ear.next();
    here.signals().publish({ kind: "queue" });
    expect(await next).toEqual({ kind: "queue" });
    expect(ear.heard).toHaveLength(1);
  });

  test("a process that believed to be alone sends again as soon as another one starts", async () => {
    const connected = new Ear(here).connected();
    await connected;
    await here.leases().beat("here", 60_000);
    await there.leases().beat("there", 60_000);
    // The other one's greeting is on its way.
    await vi.waitUntil(() => {
      here.signals().publish({ kind: "queue" });
      return ear.heard.length > 0;
    });
  });

  test("a close does not wait for a database that says nothing", async () => {
    proxy.freeze();
    await there.close();
  });
});

test("in one process on SQLite a signal reaches everybody in a turn of its own", async () => {
  const db = new SqliteDb({ path: ":memory:" });
  const ear = new Ear(db);
  const next = ear.next();
  db.signals().publish({ kind: "queue" });
  expect(ear.heard).toEqual([]);
  await next;
  expect(ear.heard).toEqual([{ kind: "queue" }]);
});

/** Ends the connections of a name. */
async function terminate(url: string, name: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()",
    [name],
  );
  await client.end();
}
