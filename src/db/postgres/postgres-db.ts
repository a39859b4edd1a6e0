import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient, sql } from "kysely";
import pg from "pg";
import {
  AgentOSError,
  ConfigurationError,
  DatabaseOpenError,
  DatabaseUnavailableError,
} from "../../errors.ts";
import type { Database, PoolState, TraceLog } from "../database.ts";
import type { Engine } from "../engine.ts";
import { Housekeeping } from "../housekeeping.ts";
import { Leases } from "../leases.ts";
import { migrate } from "../migrations/index.ts";
import { type PreparedQuery, prepare } from "../prepared.ts";
import type { Principal } from "../principal.ts";
import { acceptParameters, type MediaParameters, mediaParameters, storeMedia } from "../queries/accept.ts";
import { type ClaimedSession, sessionStart } from "../queries/claimed.ts";
import { endedByThese } from "../queries/ended.ts";
import type { LogRow } from "../queries/log-page.ts";
import { replaceRun } from "../queries/replace.ts";
import { refusal } from "../queries/room.ts";
import { sweepTraces, traceRow } from "../queries/trace-writes.ts";
import { Queue } from "../queue.ts";
import type { Acceptance, LogWrite, StoredEnd } from "../records.ts";
import type { Tables } from "../schema.ts";
import { createServerStore, type ServerStore } from "../server-store.ts";
import { changedState } from "../session-state.ts";
import type { Signals } from "../signals.ts";
import { type Store, storeFactory } from "../store.ts";
import type { UsageLog } from "../usage.ts";
import { EngineUsageLog } from "../usage-log.ts";
import { acceptBatch, acceptQuery } from "./accept-batch.ts";
import { AcceptBatches } from "./accept-batches.ts";
import { appendStatements } from "./append.ts";
import { logPagesQuery } from "./log-pages.ts";
import { createPool } from "./pool.ts";
import { enqueueQuery, lockStates, type Queryable, storeState } from "./run-writes.ts";
import { postgresSearch } from "./search.ts";
import { PostgresSignals } from "./signals.ts";
import { traceText, traceValues } from "./trace-writes.ts";

/** Where a PostgreSQL database is, and how much of it is used. */
export interface PostgresDbOptions {
  /** `postgresql://user:password@host:port/database`. Default: the environment's `DATABASE_URL`. */
  url?: string;
  /**
   * Where signals between servers are listened to. It must lead to PostgreSQL itself: behind PgBouncer in transaction mode
   * a connection cannot listen. Default: the environment's `AGENTOS_LISTEN_URL`, else `url`.
   */
  listenUrl?: string;
  /** The schema that holds the tables; made where it is missing. Default `agentos`. */
  schema?: string;
  /** Connections for requests; the log has one of its own. Default 10. */
  poolSize?: number;
  /** Names the database in answers. Default `postgres`. */
  id?: string;
}

/** Held while tables are made, so that servers that start together do it one after another. */
const migrationLock = 4_126_001;

/** Milliseconds that a server waits for another one to make the tables. */
const migrationLimit = 10 * 60_000;

/**
 * Keeps everything in PostgreSQL, 14 or later.
 *
 * @example
 * const db = new PostgresDb({ url: "postgresql://ai:ai@localhost:5432/ai" });
 */
export class PostgresDb implements Database {
  readonly id: string;
  readonly engine = "postgres";
  readonly location: string;
  readonly #schema: string;
  readonly #pool: pg.Pool;
  /** One connection, for the log alone: a pool full of requests never holds up an append. */
  readonly #logPool: pg.Pool;
  readonly #logDb: Kysely<Tables>;
  readonly #engine: Engine;
  /** To show that this process lives, and to look for those that do not: neither requests nor the log hold it up. */
  readonly #controlPool: pg.Pool;
  readonly #leases: Leases;
  readonly #queue: Queue;
  readonly #housekeeping: Housekeeping;
  readonly #signals: PostgresSignals;
  readonly #storeFor: (principal: Principal) => Store;
  readonly #serverStore: ServerStore;
  readonly #append: ReturnType<typeof appendStatements>;
  readonly #traces: TraceLog;
  readonly #usage: UsageLog;
  readonly #beforeClose: (() => Promise<void>)[] = [];
  readonly #onStoredEnd: ((end: StoredEnd) => void)[] = [];
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws {ConfigurationError} when the URL is none */
  constructor(options: PostgresDbOptions = {}) {
    const url = options.url ?? process.env["DATABASE_URL"] ?? "";
    this.id = options.id ?? "postgres";
    this.location = withoutPassword(url);
    this.#schema = options.schema ?? "agentos";
    // A lost idle connection is replaced at the next query; a query that fails says so itself.
    const onError = () => undefined;
    this.#pool = createPool(url, options.poolSize ?? 10, onError);
    this.#logPool = createPool(url, 1, onError, { forBatches: true, queryTimeout: 10_000 });
    // A second one, for what looks after dead processes may take longer than a sign of life may wait.
    this.#controlPool = createPool(url, 2, onError, { queryTimeout: 5_000 });
    const onPool = (pool: pg.Pool) =>
      new Kysely<Tables>({ dialect: new PostgresDialect({ pool: telling(pool) }) }).withSchema(this.#schema);
    const db = onPool(this.#pool);
    this.#append = appendStatements(this.#schema);
    this.#engine = this.#makeEngine(db);
    this.#traces = this.#makeTraceLog();
    this.#usage = new EngineUsageLog(this.#engine);
    this.#storeFor = storeFactory(this.#engine, db);
    this.#serverStore = createServerStore(this.#engine);
    this.#logDb = onPool(this.#logPool);
    const control = onPool(this.#controlPool);
    this.#leases = new Leases(
      { ...this.#engine, transaction: (work) => retried(() => control.transaction().execute(work)) },
      (alive) => this.#signals.beaten(alive <= 1),
    );
    const listenUrl = options.listenUrl ?? (process.env["AGENTOS_LISTEN_URL"] || url);
    withoutPassword(listenUrl, "listenUrl");
    this.#signals = new PostgresSignals({
      pool: createPool(url, 1, onError, { name: "agentos notifier", queryTimeout: 5_000 }),
      listenUrl,
      schema: this.#schema,
    });
    this.#queue = new Queue(this.#engine);
    this.#housekeeping = new Housekeeping(this.#engine);
  }

  open(): Promise<void> {
    this.#opening ??= this.#prepare().then(
      () => this.#signals.open(),
      (error: unknown) => {
        this.#opening = undefined;
        throw error;
      },
    );
    return this.#opening;
  }

  async ping(): Promise<void> {
    await this.#run(this.#pool, { text: "SELECT 1", values: [] });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const work of this.#beforeClose) await work();
    await Promise.all([
      this.#pool.end(),
      this.#logPool.end(),
      this.#controlPool.end(),
      this.#signals.close(),
    ]);
  }

  traces(): TraceLog {
    return this.#traces;
  }

  usage(): UsageLog {
    return this.#usage;
  }

  beforeClose(work: () => Promise<void>): void {
    this.#beforeClose.push(work);
  }

  onStoredEnd(listen: (end: StoredEnd) => void): void {
    this.#onStoredEnd.push(listen);
  }

  pool(): PoolState {
    const { totalCount, idleCount, waitingCount, options } = this.#pool;
    return { busy: totalCount - idleCount, idle: idleCount, waiting: waitingCount, max: options.max };
  }

  storeFor(principal: Principal): Store {
    return this.#storeFor(principal);
  }

  serverStore(): ServerStore {
    return this.#serverStore;
  }

  leases(): Leases {
    return this.#leases;
  }

  queue(): Queue {
    return this.#queue;
  }

  housekeeping(): Housekeeping {
    return this.#housekeeping;
  }

  signals(): Signals {
    return this.#signals;
  }

  async writeLogs(writes: readonly LogWrite[], { again = false } = {}): Promise<ReadonlySet<string>> {
    const append = this.#append(writes);
    const changes = writes.filter(({ stateChange, replaces }) => stateChange ?? replaces);
    // Another transaction may hold what is written here and wait for the rest. Nothing of a try that was taken back is left.
    const rows = await retried(() =>
      changes.length === 0
        ? this.#run<{ run_id: string }>(this.#logPool, append)
        : this.#transaction(this.#logPool, (client) => this.#appendAndChange(client, append, changes)),
    );
    const kept = new Set(rows.map((row) => row.run_id));
    if (again) for (const runId of await endedByThese(this.#logDb, writes)) kept.add(runId);
    return new Set(writes.map((write) => write.runId).filter((runId) => !kept.has(runId)));
  }

  /** The sessions are locked before the runs, as a run that is accepted into one of them does it too. */
  async #appendAndChange(
    client: Queryable,
    append: { name?: string; text: string; values: unknown[] },
    changes: readonly LogWrite[],
  ): Promise<{ run_id: string }[]> {
    const changed = changes.flatMap(({ sessionId, stateChange }) => (stateChange ? [sessionId] : []));
    const states = await lockStates(client, this.#schema, changed);
    const owned = (await client.query<{ run_id: string }>(append)).rows;
    const kept = new Set(owned.map((row) => row.run_id));
    for (const { runId, sessionId, stateChange, replaces, row } of changes) {
      if (!kept.has(runId)) continue;
      if (stateChange) {
        const state = changedState(states.get(sessionId) ?? {}, stateChange);
        states.set(sessionId, state);
        await storeState(client, this.#schema, sessionId, state, row?.at ?? Date.now());
      }
      if (replaces !== undefined) {
        const replace = replaceRun(this.#engine.db, replaces, runId).compile();
        await client.query({ text: replace.sql, values: [...replace.parameters] });
      }
    }
    return owned;
  }

  #makeTraceLog(): TraceLog {
    const text = traceText(this.#schema);
    return {
      write: async (traces) => {
        const at = Date.now();
        // In the order of their key, so that two nodes never wait for each other.
        const rows = traces
          .map((one) => traceRow(one, at))
          .sort((a, b) => (a.run_id + a.trace_id < b.run_id + b.trace_id ? -1 : 1));
        await this.#run(this.#pool, { name: "write_traces", text, values: traceValues(rows) });
      },
      sweep: (before, atOnce) => sweepTraces(this.#engine, before, atOnce),
    };
  }

  #makeEngine(db: Kysely<Tables>): Engine {
    const accept = acceptQuery(db);
    const enqueue = enqueueQuery(db);
    const media = [0, 1].map((i) => prepare<MediaParameters>()((value) => storeMedia(db, value)[i]!));
    const logs = logPagesQuery(db, (name) => sql.id(this.#schema, name));
    const names = new Map<string, string>();
    const config = <P, R>(query: PreparedQuery<P, R>, parameters: P) => {
      const name = names.get(query.sql) ?? `agentos_${names.size}`;
      names.set(query.sql, name);
      return { name, text: query.sql, values: query.values(parameters) };
    };
    const batches = new AcceptBatches((runs) => this.#run(this.#pool, config(accept, acceptBatch(runs))));
    return {
      name: "postgres",
      db,
      search: postgresSearch(this.#schema),
      locked: (query) => query.forUpdate(),
      lockedByNobody: (query) => query.forUpdate().skipLocked(),
      nextOrder: sql<number>`nextval(pg_get_serial_sequence(${`"${this.#schema.replaceAll('"', '""')}".runs`}, 'queue_seq'))`,
      now: sql<number>`CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)`,
      transaction: (work) => retried(() => db.transaction().execute(work)),
      all: (query, parameters) => this.#run(this.#pool, config(query, parameters)),
      write: (query, parameters) => this.#run(this.#pool, config(query, parameters)),
      table: (name) => sql.id(this.#schema, name),
      logPages: async (wanted) => {
        const runs = wanted.map(({ runId }) => runId);
        const afters = wanted.map(({ after }) => after);
        const rows = await this.#run<LogRow & { place: number }>(this.#pool, config(logs, { runs, afters }));
        const byPlace = Map.groupBy(rows, ({ place }) => place);
        return wanted.map((_, i) => byPlace.get(i + 1) ?? []);
      },
      lockOf: (alias) => sql`FOR UPDATE OF ${sql.id(alias)} SKIP LOCKED`,
      ended: (end) => {
        for (const listen of this.#onStoredEnd) listen(end);
      },
      acceptRun: async (run, limits) => {
        const parameters = acceptParameters(run, limits);
        const answer = async (
          row: (ClaimedSession & { begun?: boolean }) | undefined,
        ): Promise<Acceptance> => {
          const session = sessionStart(run, row);
          if (!session) return refusal(db, run, limits);
          return { kind: "accepted", session, begun: row?.begun ?? run.begins, interrupted: [] };
        };
        if (run.media.length === 0 && !run.background) return answer(await batches.accept(parameters));
        const query = run.background
          ? config(enqueue, parameters)
          : config(accept, acceptBatch([parameters]));
        if (run.media.length === 0) return answer((await this.#run<ClaimedSession>(this.#pool, query))[0]);
        return this.#transaction(this.#pool, async (client) => {
          const acceptance = await answer((await client.query<ClaimedSession>(query)).rows[0]);
          if (acceptance.kind !== "accepted") return acceptance;
          // In the order of their key: two runs that send the same files would else wait for each other.
          for (const file of run.media.toSorted((a, b) => (a.sha256 < b.sha256 ? -1 : 1))) {
            for (const one of media) await client.query(config(one, mediaParameters(run, file)));
          }
          return acceptance;
        });
      },
    };
  }

  async #prepare(): Promise<void> {
    let client: pg.PoolClient | undefined;
    try {
      // Not from the pool of requests, which the migrations use: it may be of one connection.
      client = await this.#logPool.connect();
      // Another server may be at it, and a large table takes its time.
      await client.query("SET statement_timeout = 0");
      await client.query({
        text: "SELECT pg_advisory_lock($1)",
        values: [migrationLock],
        query_timeout: migrationLimit,
      } as pg.QueryConfig);
      // Not `IF NOT EXISTS`: that asks for the right to create one even where it exists.
      const { rowCount } = await client.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [
        this.#schema,
      ]);
      if (rowCount === 0) await client.query(`CREATE SCHEMA ${client.escapeIdentifier(this.#schema)}`);
      await migrate(this.#engine.db, "postgres", this.#schema);
    } catch (error) {
      if (error instanceof DatabaseOpenError) throw error;
      // A host with several addresses fails with one error for each, and says nothing itself.
      const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
      const reason = first instanceof Error ? first.message : String(first);
      throw new DatabaseOpenError(`The PostgreSQL database ${this.location} cannot be opened: ${reason}.`, {
        cause: error,
      });
    } finally {
      // Not kept: it has no time limit any more.
      await client
        ?.query("SELECT pg_advisory_unlock($1)", [migrationLock])
        .catch(() => undefined)
        .then(() => client?.release(true));
    }
  }

  async #run<TRow>(
    pool: pg.Pool,
    query: { name?: string; text: string; values: unknown[] },
  ): Promise<TRow[]> {
    try {
      return (await pool.query(query)).rows as TRow[];
    } catch (error) {
      throw unavailable(error);
    }
  }

  async #transaction<T>(pool: pg.Pool, work: (client: Queryable) => Promise<T>): Promise<T> {
    let client: pg.PoolClient | undefined;
    try {
      client = await pool.connect();
      await client.query("BEGIN");
      const result = await work(client as Queryable);
      await client.query("COMMIT");
      client.release();
      return result;
    } catch (error) {
      // The connection goes with its transaction: the database rolls back what it held.
      client?.release(true);
      throw unavailable(error);
    }
  }
}

/** How often a transaction is tried that the database took back because another waited for it in turn. */
const attempts = 3;

/** Does a transaction again that was taken back for no fault of its own: a deadlock, or two that cannot both be. */
async function retried<T>(transaction: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction();
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (attempt === attempts || (code !== "40P01" && code !== "40001")) throw error;
    }
  }
}

/**
 * The pool as Kysely takes it, with errors that say that the database is away. A connection that failed without a word from
 * PostgreSQL may be dead without knowing it, or still be at the statement that was given up: nobody gets it again.
 */
function telling(pool: pg.Pool): PostgresPool {
  return {
    async connect() {
      const client = await pool.connect().catch((error: unknown) => {
        throw unavailable(error);
      });
      let lost: unknown;
      const query = async (text: string, values: readonly unknown[]) => {
        // A rollback would only wait as long as what came before it.
        if (lost !== undefined) throw lost;
        try {
          return await client.query(text, [...values]);
        } catch (error) {
          const told = unavailable(error);
          if (!(error instanceof pg.DatabaseError)) lost = told;
          throw told;
        }
      };
      const release = (discard?: boolean) => client.release(discard === true || lost !== undefined);
      return { query, release } as unknown as PostgresPoolClient;
    },
    end: () => pool.end(),
    options: pool.options,
  };
}

/** An error that says that the database is away, rather than that a statement was wrong. */
function unavailable(error: unknown): unknown {
  if (error instanceof AgentOSError) return error;
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  // Classes 08, 53, 57 and 58 of PostgreSQL: connection, resources, intervention, system. `pg` itself gives no codes.
  const away =
    typeof code === "string"
      ? /^(?:08|53|57|58)|^E[A-Z]+$/.test(code)
      : /timeout|terminated|connection|not queryable|after calling end/i.test(error.message);
  return away
    ? new DatabaseUnavailableError("The database does not answer. Try again.", { cause: error })
    : error;
}

function withoutPassword(url: string, option = "url"): string {
  try {
    const parsed = new URL(url);
    if (!/^postgres(?:ql)?:$/.test(parsed.protocol)) throw new Error("not a PostgreSQL URL");
    if (parsed.password !== "") parsed.password = "***";
    // Parameters may hold a password too.
    parsed.search = "";
    return parsed.toString();
  } catch (error) {
    throw new ConfigurationError(
      `PostgresDb: ${option} must look like postgresql://user:password@host:5432/database (setting ${option === "url" ? "DATABASE_URL" : "AGENTOS_LISTEN_URL"}).`,
      { cause: error },
    );
  }
}
