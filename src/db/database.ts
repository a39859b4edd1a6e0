import type { RunStatus } from "../events/run.ts";
import type { Principal } from "./principal.ts";
import type {
  Attached,
  LogWrite,
  NewRun,
  RunFilter,
  RunPage,
  SessionStart,
  StoredEvents,
  StoredMedia,
  StoredRun,
} from "./records.ts";

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
   * @throws {ConfigurationError} when it cannot be opened, in one line that says why
   */
  open(): Promise<void>;

  /** @throws {DatabaseUnavailableError} when it does not answer */
  ping(): Promise<void>;

  /** Writes what is buffered and lets go of every connection and file. */
  close(): Promise<void>;

  /** A handle that reads and starts runs for a principal, and for nobody else. */
  storeFor(principal: Principal): Store;

  /**
   * Adds to the logs of runs and to their rows, all in one commit. Each write holds only while its `attempt` is the run's.
   *
   * @param writes - at most one a run
   * @returns the ids of those runs that are no longer the caller's: deleted, ended, or taken over
   */
  writeLogs(writes: readonly LogWrite[]): Promise<ReadonlySet<string>>;
}

/** What one principal may read and begin. */
export interface Store {
  /**
   * Accepts a run: makes its session or adopts it, and writes the run's row and files, all or nothing.
   *
   * @throws {NotFoundError} when the session is another user's
   */
  acceptRun(run: NewRun): Promise<SessionStart>;

  /** The messages of the last completed runs of an agent in a session, oldest first, without system prompts. */
  history(filter: { sessionId: string; agentId: string; runs: number }): Promise<Attached[]>;

  /** One run, or undefined where the principal has none such. */
  run(filter: RunFilter): Promise<StoredRun | undefined>;

  /** Runs of a session, oldest first. */
  runsOfSession(
    filter: { sessionId: string; agentId?: string; userId?: string; status?: RunStatus } & RunPage,
  ): Promise<StoredRun[]>;

  /** A page of a run's log that begins right after an index. Empty at its end. */
  events(runId: string, after: number): Promise<StoredEvents[]>;

  /** A file of a run that the principal may see. */
  media(mediaId: string): Promise<StoredMedia | undefined>;
}
