import type { Housekeeping } from "./housekeeping.ts";
import type { Leases } from "./leases.ts";
import type { Principal } from "./principal.ts";
import type { Queue } from "./queue.ts";
import type { LogWrite, StoredEnd } from "./records.ts";
import type { ServerStore } from "./server-store.ts";
import type { Signals } from "./signals.ts";
import type { Store } from "./store.ts";
import type { TraceWrite } from "./traces.ts";
import type { UsageLog } from "./usage.ts";

/**
 * Where a server keeps what it knows. `SqliteDb` and `PostgresDb` are the two.
 */
export interface Database {
  /** Names the database in answers: `db_id`. */
  readonly id: string;
  readonly engine: "sqlite" | "postgres";
  /** Where it is, for people: a path, or a URL without its password. */
  readonly location: string;

  /**
   * Opens it and brings its tables up to date. Called again, it does nothing.
   *
   * @throws {DatabaseOpenError} when it cannot be opened, in one line that says why
   */
  open(): Promise<void>;

  /** @throws {DatabaseUnavailableError} when it does not answer */
  ping(): Promise<void>;

  /** Writes what is buffered and lets go of every connection and file. */
  close(): Promise<void>;

  /** A handle that reads and changes what a principal may, and nothing of anybody else. */
  storeFor(principal: Principal): Store;

  /** What is the server's own, and no user's: service accounts, the audit log, what limits are counted by. */
  serverStore(): ServerStore;

  /** Which processes are alive, and what becomes of the runs of the others. */
  leases(): Leases;

  /** Deletes what is kept for a time only. */
  housekeeping(): Housekeeping;

  /** The runs that wait for a process. */
  queue(): Queue;

  /** What the processes that share it tell each other. */
  signals(): Signals;

  /**
   * Adds to the logs of runs and to their rows, all in one commit. Each write holds only while its `attempt` is the run's.
   *
   * @param writes - at most one a run
   * @param options - `again`: the same writes were tried before, and the answer was lost. What is stored already counts.
   * @returns the ids of those runs that are no longer the caller's: deleted, ended, or taken over
   */
  writeLogs(writes: readonly LogWrite[], options?: { again?: boolean }): Promise<ReadonlySet<string>>;

  /** Where traces are written to. */
  traces(): TraceLog;

  /** Where ended runs are counted into their days. */
  usage(): UsageLog;

  /** Calls `work` before the database is closed: what is buffered elsewhere can be written then. */
  beforeClose(work: () => Promise<void>): void;

  /**
   * Calls `listen` with each run that was ended in the database, by a call to this object: its process was lost, or let go
   * of it.
   */
  onStoredEnd(listen: (end: StoredEnd) => void): void;

  /** Connections of requests, where there is a pool of them. */
  pool(): PoolState | undefined;
}

/** Writes traces, and lets go of old ones. */
export interface TraceLog {
  /**
   * Writes traces in one commit, or adds to those that are there. A run that was deleted meanwhile gets none.
   *
   * @param traces - at most one a run and trace
   */
  write(traces: readonly TraceWrite[]): Promise<void>;

  /**
   * Deletes traces that began before a time, the oldest first.
   *
   * @param before - Unix time in milliseconds
   * @param atOnce - how many at most
   * @returns how many went
   */
  sweep(before: number, atOnce: number): Promise<number>;
}

/** How many connections of a pool do what. */
export interface PoolState {
  /** In use. */
  busy: number;
  idle: number;
  /** Those who wait for one. */
  waiting: number;
  max: number;
}
