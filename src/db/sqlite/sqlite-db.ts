import { existsSync, realpathSync } from "node:fs";
import { Kysely, SqliteDialect, sql } from "kysely";
import { ConfigurationError, DatabaseUnavailableError } from "../../errors.ts";
import type { Database, TraceLog } from "../database.ts";
import type { Engine } from "../engine.ts";
import { Housekeeping } from "../housekeeping.ts";
import { Leases } from "../leases.ts";
import { migrate } from "../migrations/index.ts";
import type { Principal } from "../principal.ts";
import { endedByThese } from "../queries/ended.ts";
import { logPageQuery } from "../queries/log-page.ts";
import { sweepTraces, traceRow } from "../queries/trace-writes.ts";
import { Queue } from "../queue.ts";
import type { LogWrite, StoredEnd } from "../records.ts";
import type { Tables } from "../schema.ts";
import { createServerStore, type ServerStore } from "../server-store.ts";
import { LocalSignals, type Signals } from "../signals.ts";
import { type Store, storeFactory } from "../store.ts";
import type { UsageLog } from "../usage.ts";
import { EngineUsageLog } from "../usage-log.ts";
import { BatchWriter } from "./batch-writer.ts";
import { inMemory, SqliteConnection } from "./connection.ts";
import { GroupCommit } from "./group-commit.ts";
import { runStatements } from "./run-statements.ts";
import { sqliteSearch } from "./search.ts";
import { TextIndex } from "./text-index.ts";
import { traceWrite } from "./trace-writes.ts";
import { type Checkpointer, startCheckpointer } from "./wal-checkpointer.ts";
import { WalSync } from "./wal-sync.ts";
import { LocalWriter, type Writer } from "./writer.ts";
import { ThreadWriter } from "./writer-thread.ts";
import { acceptanceOf, acceptWrite, appendWrite, queryWrite } from "./writes.ts";

/** Where a SQLite database is, and what it is called. */
export interface SqliteDbOptions {
  /**
   * Path of the file, or `:memory:`. Its folder is made where it is missing.
   * Default: the environment's `AGENTOS_SQLITE_PATH`, else `./data/agentos.db`.
   */
  path?: string;
  /** Names the database in answers. Default `sqlite`. */
  id?: string;
}

/** What is there once the file is open. */
interface Open {
  db: Kysely<Tables>;
  connection: SqliteConnection;
  commit: GroupCommit;
  disk: WalSync | undefined;
  writer: Writer;
  index: TextIndex;
  storeFor: (principal: Principal) => Store;
  serverStore: ServerStore;
  leases: Leases;
  queue: Queue;
  housekeeping: Housekeeping;
  traces: TraceLog;
  usage: UsageLog;
  checkpointer: Checkpointer | undefined;
}

/**
 * Keeps everything in one SQLite file. It needs nothing beside Node, and one server at a time.
 *
 * @example
 * const db = new SqliteDb({ path: "./data/agentos.db" });
 */
export class SqliteDb implements Database {
  readonly id: string;
  readonly engine = "sqlite";
  readonly location: string;
  readonly #signals = new LocalSignals();
  #opening: Promise<Open> | undefined;
  #open: Open | undefined;
  #closing: Promise<void> | undefined;
  readonly #beforeClose: (() => Promise<void>)[] = [];
  readonly #onStoredEnd: ((end: StoredEnd) => void)[] = [];

  constructor(options: SqliteDbOptions = {}) {
    this.id = options.id ?? "sqlite";
    this.location = options.path ?? (process.env["AGENTOS_SQLITE_PATH"] || "./data/agentos.db");
    if (this.location === "")
      throw new ConfigurationError("SqliteDb: path is empty. Give the path of a file.");
  }

  async open(): Promise<void> {
    await this.#closing;
    this.#opening ??= this.#openFile();
    try {
      this.#open = await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  ping(): Promise<void> {
    try {
      const { connection, commit, checkpointer } = this.#opened;
      connection.exec("SELECT 1");
      // Reading works long after writing does not. Each process writes its sign of life every few seconds.
      if (commit.failure) throw commit.failure;
      if (checkpointer?.failure) throw new Error(checkpointer.failure);
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(new DatabaseUnavailableError("The database does not answer.", { cause: error }));
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeFile().finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #closeFile(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    for (const work of this.#beforeClose) await work();
    await open.index.stop();
    await open.commit.settled();
    this.#open = undefined;
    this.#opening = undefined;
    await open.writer.close();
    await open.checkpointer?.stop();
    await open.disk?.sync();
    open.disk?.close();
    open.connection.close();
  }

  storeFor(principal: Principal): Store {
    return this.#opened.storeFor(principal);
  }

  serverStore(): ServerStore {
    return this.#opened.serverStore;
  }

  leases(): Leases {
    return this.#opened.leases;
  }

  queue(): Queue {
    return this.#opened.queue;
  }

  housekeeping(): Housekeeping {
    return this.#opened.housekeeping;
  }

  signals(): Signals {
    return this.#signals;
  }

  traces(): TraceLog {
    return this.#opened.traces;
  }

  usage(): UsageLog {
    return this.#opened.usage;
  }

  beforeClose(work: () => Promise<void>): void {
    this.#beforeClose.push(work);
  }

  onStoredEnd(listen: (end: StoredEnd) => void): void {
    this.#onStoredEnd.push(listen);
  }

  pool(): undefined {
    return undefined;
  }

  async writeLogs(writes: readonly LogWrite[], { again = false } = {}): Promise<ReadonlySet<string>> {
    const { commit, db } = this.#opened;
    const lost = new Set(await commit.run(appendWrite(writes), writes.some(isPromise)));
    if (again) for (const runId of await endedByThese(db, writes)) lost.delete(runId);
    return lost;
  }

  get #opened(): Open {
    if (!this.#open) throw new DatabaseUnavailableError(`The database ${this.location} is not open.`);
    return this.#open;
  }

  async #openFile(): Promise<Open> {
    // A link has a lock and a log where the file has them.
    const path = existsSync(this.location) ? realpathSync(this.location) : this.location;
    const connection = new SqliteConnection(path);
    const opened: { close(): unknown }[] = [connection];
    try {
      const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: connection.forKysely() }) });
      await migrate(db, "sqlite");
      const disk = path === inMemory ? undefined : new WalSync(path);
      if (disk) opened.push(disk);
      const statements = runStatements(db);
      const writer = disk
        ? new ThreadWriter(path, statements)
        : new LocalWriter(new BatchWriter(connection, statements));
      opened.push(writer);
      const commit = new GroupCommit(connection, disk, writer);
      const index = new TextIndex(commit);
      opened.push({ close: () => index.stop() });
      const logPage = logPageQuery(db, (name) => sql.table(name));
      const engine: Engine = {
        name: "sqlite",
        db,
        search: sqliteSearch(index),
        // One transaction at a time: what it reads, nobody else changes.
        locked: (query) => query,
        lockedByNobody: (query) => query,
        table: (name) => sql.table(name),
        logPages: (wanted) =>
          Promise.resolve(wanted.map(({ runId, after }) => connection.run(logPage, { run: runId, after }))),
        lockOf: () => sql``,
        nextOrder: sql<number>`(SELECT max(queue_seq) + 1 FROM runs)`,
        now: sql<number>`CAST(unixepoch('subsec') * 1000 AS INTEGER)`,
        transaction: (work) => commit.alone(() => work(db)),
        write: (query, parameters) => commit.run(queryWrite(query, [parameters]), false) as Promise<never[]>,
        all: (query, parameters) => Promise.resolve(connection.run(query, parameters)),
        ended: (end) => {
          for (const listen of this.#onStoredEnd) listen(end);
        },
        // A foreground run is promised to nobody before its first answer, and that waits for the disk.
        acceptRun: async (run, limits) =>
          acceptanceOf(run, await commit.run(acceptWrite(run, limits), run.background)),
      };
      const leases = new Leases(engine);
      const trace = traceWrite(db);
      // No other process can have the file open: whoever had runs under way in it is gone.
      await engine.transaction((inside) => inside.deleteFrom("nodes").execute());
      await leases.sweep();
      return {
        db,
        connection,
        commit,
        disk,
        writer,
        index,
        storeFor: storeFactory(engine, db),
        serverStore: createServerStore(engine),
        leases,
        queue: new Queue(engine),
        housekeeping: new Housekeeping(engine),
        traces: {
          async write(traces) {
            const at = Date.now();
            await commit.run(
              queryWrite(
                trace,
                traces.map((one) => traceRow(one, at)),
              ),
              false,
            );
          },
          sweep: (before, atOnce) => sweepTraces(engine, before, atOnce),
        },
        usage: new EngineUsageLog(engine),
        checkpointer:
          path === inMemory
            ? undefined
            : startCheckpointer(path, () => {
                void commit
                  .between(() => connection.exec("PRAGMA wal_checkpoint(RESTART)"))
                  .catch(() => undefined);
              }),
      };
    } catch (error) {
      for (const one of opened.reverse()) await one.close();
      throw error;
    }
  }
}

/** Whether somebody is told of the write once it is done: then it waits for the disk. */
function isPromise({ row }: LogWrite): boolean {
  return row?.ended === true || row?.pauseId !== undefined;
}
