import { sql } from "kysely";
import type { Message } from "../../events/messages.ts";
import type { TokenUsage } from "../../events/metrics.ts";
import type { Engine } from "../engine.ts";
import { following, sessionColumns, sessionOf, sortKey, wanted } from "../queries/sessions.ts";
import type {
  FoundSession,
  NewSession,
  SessionChange,
  SessionFilter,
  SessionList,
  SessionPage,
  SessionRef,
  SessionSort,
  SessionUsage,
  StoredSession,
} from "../sessions.ts";
import type { Scope } from "./scope.ts";
import { changeSession, createSession } from "./session-changes.ts";
import { type ForkRequest, forkSession } from "./session-fork.ts";
import { deleteSessions } from "./session-removal.ts";
import { searchSessions } from "./session-search.ts";

/** Sessions that are counted at most: the count of a longer list stays there. */
const mostCounted = 10_000;

/** Runs whose messages the history of a session shows. */
const shownRuns = 100;

/** Sessions. A confined principal only ever reaches its own user's. */
export class SessionStore {
  readonly #engine: Engine;
  readonly #scope: Scope;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /**
   * Makes a session.
   *
   * @throws {ConflictError} when there is one with that id, whosever it is
   */
  create(session: NewSession): Promise<StoredSession> {
    return createSession(this.#engine, this.#scope, session);
  }

  /** A session; undefined where the principal, or that user, has no such. */
  async get(ref: SessionRef): Promise<StoredSession | undefined> {
    const row = await this.#only(ref).select(sessionColumns).executeTakeFirst();
    return row && sessionOf(row);
  }

  /** Whether the principal, or that user, has such a session. */
  async has(ref: SessionRef): Promise<boolean> {
    return (await this.#only(ref).select("sessions.session_id").executeTakeFirst()) !== undefined;
  }

  /** Part of a sorted list. Sessions with the same key stand in the order of their ids. */
  async list(filter: SessionFilter, sort: SessionSort, page: SessionPage): Promise<SessionList> {
    const { limit, offset, after } = page;
    let query = this.#engine.db
      .selectFrom("sessions")
      .select(sessionColumns)
      .where((eb) => wanted(eb, this.#scope, filter))
      .orderBy((eb) => sortKey(eb, sort.by), sort.order)
      .orderBy("sessions.session_id", sort.order)
      .limit(limit + 1);
    query = after ? query.where((eb) => following(eb, sort, after)) : query.offset(offset);
    const rows = await query.execute();
    // On the last page there is nothing to count.
    const more = rows.length > limit;
    const known = !after && !more && (rows.length > 0 || offset === 0);
    const counted = known ? offset + rows.length : await this.#count(filter);
    const total = Math.min(counted, mostCounted);
    return { sessions: rows.slice(0, limit).map(sessionOf), total, isCapped: counted > total, more };
  }

  /**
   * Sessions whose name, or what was said in one of their runs, has all the words; the last one may be the beginning of
   * one. The best match comes first, and each session once.
   */
  search(filter: SessionFilter, text: string, page: SessionPage): Promise<SessionList<FoundSession>> {
    return searchSessions(this.#engine, this.#scope, filter, text, page);
  }

  /** Changes a session; undefined where the principal, or that user, has no such. */
  change(ref: SessionRef, change: SessionChange): Promise<StoredSession | undefined> {
    return changeSession(this.#engine, this.#scope, ref, change);
  }

  /**
   * Deletes sessions with all that is theirs, or none of them. What is not the principal's, or that user's, stays.
   *
   * @throws {ConflictError} when a run of one of them is under way
   */
  delete(sessionIds: readonly string[], userId?: string): Promise<void> {
    return deleteSessions(this.#engine, this.#scope, sessionIds, userId);
  }

  /**
   * Makes a new session of a session's ended runs.
   *
   * @returns its id
   * @throws {NotFoundError} when there is no such session or run
   */
  fork(request: ForkRequest): Promise<string> {
    return forkSession(this.#engine, this.#scope, request);
  }

  /** What the runs of sessions used, by session. Those without a run are not in it. The sessions must be the principal's. */
  async tokens(sessionIds: readonly string[]): Promise<Map<string, SessionUsage>> {
    if (sessionIds.length === 0) return new Map();
    const sum = (column: keyof TokenUsage) => sql<number>`CAST(sum(${sql.ref(column)}) AS bigint)`.as(column);
    const rows = await this.#engine.db
      .selectFrom("runs")
      .select("session_id")
      .select(sum("input_tokens"))
      .select(sum("output_tokens"))
      .select(sum("total_tokens"))
      .select(sum("reasoning_tokens"))
      .select(sum("cache_read_tokens"))
      .select(sum("cache_write_tokens"))
      .select((eb) => [
        eb.fn.sum<number | null>("cost").as("cost"),
        sql<number>`CAST(sum(CASE WHEN cost IS NULL AND ended_at IS NOT NULL THEN 1 ELSE 0 END) AS integer)`.as(
          "unpriced_runs_count",
        ),
      ])
      .where("session_id", "in", sessionIds)
      .where((eb) => this.#scope.runs(eb))
      .groupBy("session_id")
      .execute();
    return new Map(rows.map(({ session_id, ...usage }) => [session_id, usage]));
  }

  /** What user and agents said in the newest runs of a session, oldest first. Runs that were replaced are left out. */
  async said(sessionId: string): Promise<Message[]> {
    const { db } = this.#engine;
    const newest = db
      .selectFrom("runs")
      .select(["run_id", "queue_seq"])
      .where("session_id", "=", sessionId)
      .where("status", "<>", "regenerated")
      .where((eb) => this.#scope.runs(eb))
      .orderBy("queue_seq", "desc")
      .limit(shownRuns);
    const rows = await db
      .selectFrom(newest.as("newest"))
      .innerJoin("messages", "messages.run_id", "newest.run_id")
      .select("messages.message")
      .where("messages.role", "in", ["user", "assistant"])
      .orderBy("newest.queue_seq")
      .orderBy("messages.position")
      .execute();
    return rows.map(({ message }) => JSON.parse(message) as Message);
  }

  #only({ sessionId, userId }: SessionRef) {
    return this.#engine.db
      .selectFrom("sessions")
      .where("sessions.session_id", "=", sessionId)
      .where((eb) => wanted(eb, this.#scope, userId === undefined ? {} : { userId }));
  }

  async #count(filter: SessionFilter): Promise<number> {
    const { db } = this.#engine;
    const counted = db
      .selectFrom("sessions")
      .select(sql.lit(1).as("one"))
      .where((eb) => wanted(eb, this.#scope, filter))
      .limit(mostCounted + 1);
    const row = await db.selectFrom(counted.as("counted")).select(total).executeTakeFirst();
    return row?.total ?? 0;
  }
}

const total = sql<number>`CAST(count(*) AS integer)`.as("total");
