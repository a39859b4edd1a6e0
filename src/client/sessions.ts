import type { JsonObject } from "../events/json.ts";
import type { RunEvent } from "../events/run-events.ts";
import type { Compaction, ListedRun, RunPreview, Session, SessionFork, SessionPage } from "./answers.ts";
import type { CallOptions } from "./options.ts";
import type { PageOptions } from "./page.ts";
import { type RunListOptions, type RunPage, readRunPage } from "./runs.ts";
import { SessionReader } from "./session-stream.ts";
import { readStream } from "./stream.ts";
import type { Transport } from "./transport.ts";
import { onWire } from "./wire-names.ts";

/** Whose session is meant. A user that is given must be the session's, else it is 404. */
export interface UserOptions extends CallOptions {
  userId?: string;
}

/** A session that begins with something. */
export interface NewSessionOptions extends UserOptions {
  /** Made up where absent. */
  sessionId?: string;
  sessionName?: string;
  sessionState?: JsonObject;
  metadata?: JsonObject;
  agentId?: string;
}

/** Which sessions a list holds, and in which order. */
export interface SessionListOptions extends PageOptions {
  userId?: string;
  agentId?: string;
  /** A part of the name. */
  sessionName?: string;
  /** Words of the name, or of what was said in one run. The best match comes first; `limit` is 100 at most. */
  search?: string;
  sortBy?: "created_at" | "updated_at" | "session_name";
  sortOrder?: "asc" | "desc";
  /** The `meta.next_cursor` of another page with the same order, in the place of `page`. */
  cursor?: string;
}

/** What changes of a session. What is left out stays. */
export interface SessionChange extends UserOptions {
  sessionName?: string;
  /** Takes the place of the whole state. */
  sessionState?: JsonObject;
  metadata?: JsonObject;
  summary?: { summary: string; topics?: readonly string[] };
}

/** Which runs of a session a list holds. */
export interface SessionRunListOptions extends RunListOptions {
  /** Unix time in seconds. */
  createdAfter?: number;
  /** Unix time in seconds. */
  createdBefore?: number;
}

/** Sessions, their runs, and what happens in them. */
export class Sessions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Makes a session. A run makes its own by itself. @throws {ApiError} 409 when the id is taken */
  create({ signal, ...fields }: NewSessionOptions = {}): Promise<Session> {
    return this.#transport.json({ method: "POST", path: ["sessions"], body: onWire(fields), signal });
  }

  /** A page of sessions, newest first; or those in which words are found. */
  list({ signal, ...query }: SessionListOptions = {}): Promise<SessionPage> {
    return this.#transport.json({ method: "GET", path: ["sessions"], query, signal });
  }

  /** A session with what was said in it. */
  get(sessionId: string, { signal, ...query }: UserOptions = {}): Promise<Session> {
    return this.#transport.json({ method: "GET", path: ["sessions", sessionId], query, signal });
  }

  /** Changes name, state, metadata or summary. */
  update(sessionId: string, { signal, userId, ...fields }: SessionChange): Promise<Session> {
    return this.#transport.json({
      method: "PATCH",
      path: ["sessions", sessionId],
      query: { userId },
      body: onWire(fields),
      signal,
    });
  }

  /** Gives a session a name that the server does not replace by one of its own. */
  rename(sessionId: string, sessionName: string, options: UserOptions = {}): Promise<Session> {
    const { signal, userId } = options;
    return this.#transport.json({
      method: "POST",
      path: ["sessions", sessionId, "rename"],
      query: { userId },
      body: onWire({ sessionName }),
      signal,
      repeatable: true,
    });
  }

  /** Deletes a session with its runs and files. @throws {ApiError} 409 while a run of it is under way */
  delete(sessionId: string, { signal, ...query }: UserOptions = {}): Promise<void> {
    return this.#transport.done({ method: "DELETE", path: ["sessions", sessionId], query, signal });
  }

  /** Deletes several sessions, or none of them. @throws {ApiError} 409 while a run of one is under way */
  deleteMany(sessionIds: readonly string[], { signal, ...query }: UserOptions = {}): Promise<void> {
    const sessionTypes = sessionIds.map(() => "agent");
    return this.#transport.done({
      method: "DELETE",
      path: ["sessions"],
      query,
      body: onWire({ sessionIds, sessionTypes }),
      signal,
    });
  }

  /** The runs of a session, oldest first: the newest 100 where no `limit` is given. */
  runs(sessionId: string, { signal, ...query }: SessionRunListOptions = {}): Promise<RunPage<ListedRun>> {
    const path = ["sessions", sessionId, "runs"];
    return readRunPage(this.#transport, { method: "GET", path, query, signal });
  }

  /** The runs of a session in short. */
  runPreviews(
    sessionId: string,
    { signal, ...query }: SessionRunListOptions = {},
  ): Promise<RunPage<RunPreview>> {
    const path = ["sessions", sessionId, "run-previews"];
    return readRunPage(this.#transport, { method: "GET", path, query, signal });
  }

  /** One run of a session, as lists have it. */
  run(sessionId: string, runId: string, { signal, ...query }: UserOptions = {}): Promise<ListedRun> {
    const path = ["sessions", sessionId, "runs", runId];
    return this.#transport.json({ method: "GET", path, query, signal });
  }

  /**
   * Makes a new session of a session's runs.
   *
   * @param options - `upToRunId`: the last run that is taken along; all where it is absent
   */
  fork(
    agentId: string,
    sessionId: string,
    { signal, ...query }: UserOptions & { upToRunId?: string } = {},
  ): Promise<SessionFork> {
    const path = ["agents", agentId, "sessions", sessionId, "fork"];
    return this.#transport.json({ method: "POST", path, query, signal });
  }

  /** Folds older history into a summary that the model is sent in its place. It may decline: `status` says why. */
  compact(agentId: string, sessionId: string, { signal, ...query }: UserOptions = {}): Promise<Compaction> {
    const path = ["agents", agentId, "sessions", sessionId, "compact"];
    return this.#transport.json({ method: "POST", path, query, signal });
  }

  /**
   * Follows whatever runs in a session: the run that is under way from its start, then the next ones, each event once. Runs
   * that are live side by side come interleaved; `run_id` tells them apart. It ends when nothing runs.
   *
   * @param options - `wait`: goes on when nothing runs, until the signal is aborted
   * @example
   * for await (const event of client.sessions.follow("thread-42", { wait: true })) show(event);
   */
  follow(
    sessionId: string,
    options: UserOptions & { wait?: boolean } = {},
  ): AsyncGenerator<RunEvent, void, void> {
    const { signal, ...query } = options;
    return readStream(this.#transport, new SessionReader(sessionId, query), signal);
  }
}
