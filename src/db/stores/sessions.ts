import { sql } from "kysely";
import type { Message } from "../../events/messages.ts";
import type { TokenUsage } from "../../events/metrics.ts";
import type { Engine } from "../engine.ts";
import {
  following,
  type SessionRow,
  sessionColumns,
  sessionOf,
  sortKey,
  wanted,
} from "../queries/sessions.ts";
import { ownerWord, type WordQuery, wordsOf } from "../search.ts";
import {
  type FoundSession,
  mostSessionsCounted,
  type NewSession,
  type SessionChange,
  type SessionFilter,
  type SessionList,
  type SessionPage,
  type SessionRef,
  type SessionSort,
  type StoredSession,
} from "../sessions.ts";
import { snippetOf } from "../snippets.ts";
import type { Scope } from "./scope.ts";
import { changeSession, createSession } from "./session-changes.ts";
import { type ForkRequest, forkSession } from "./session-fork.ts";
import { deleteSessions } from "./session-removal.ts";

/** Texts that a search ranks at most. One that finds more takes those that the index gives first. */
const mostTextsRanked = 10_000;

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
    const total = known ? offset + rows.length : await this.#count(filter);
    return { sessions: rows.slice(0, limit).map(sessionOf), total, more };
  }

  /**
   * Sessions whose name, or what was said in one of their runs, has all the words; the last one may be the beginning of
   * one. The best match comes first, and each session once.
   */
  async search(filter: SessionFilter, text: string, page: SessionPage): Promise<SessionList<FoundSession>> {
    const words = wordsOf(text);
    if (words.length === 0 || this.#scope.empty) return { sessions: [], total: 0, more: false };
    const { db, search } = this.#engine;
    const { unrestricted, userId } = this.#scope.principal;
    const owner = unrestricted ? filter.userId : userId;
    const query: WordQuery = {
      words,
      match: "all",
      limit: mostTextsRanked,
      ...(owner !== undefined && { owner: ownerWord(owner) }),
    };
    await search.upToDate();
    const own = db
      .selectFrom("sessions")
      .select("sessions.session_id")
      .where((eb) => wanted(eb, this.#scope, filter));
    const hits = db
      .selectFrom(search.matches("session_texts", query).as("hit"))
      .innerJoin("session_texts", "session_texts.text_id", "hit.id")
      .innerJoin(own.as("own"), "own.session_id", "session_texts.session_id")
      .select(["session_texts.session_id", "hit.id as text_id", "hit.rank"])
      .select(
        sql<number>`row_number() OVER (PARTITION BY ${sql.ref("session_texts.session_id")} ORDER BY ${sql.ref("hit.rank")}, ${sql.ref("hit.id")} DESC)`.as(
          "place",
        ),
      );
    const best = db.selectFrom(hits.as("hits")).where("hits.place", "=", 1);
    const found = await best
      .select(["hits.session_id", "hits.text_id", "hits.rank"])
      .select(sql<number>`CAST(count(*) OVER () AS integer)`.as("total"))
      .orderBy("hits.rank")
      .orderBy("hits.session_id", "desc")
      .limit(page.limit)
      .offset(page.offset)
      .execute();
    const [first] = found;
    if (!first) {
      const counted = page.offset > 0 ? await best.select(total).executeTakeFirst() : undefined;
      return { sessions: [], total: counted?.total ?? 0, more: false };
    }
    const texts = await this.#texts(found.map(({ text_id }) => text_id));
    const rows = await this.#rows(found.map(({ session_id }) => session_id));
    const sessions = found.flatMap(({ session_id, text_id }) => {
      const row = rows.get(session_id);
      return row ? [{ ...sessionOf(row), snippet: snippetOf(texts.get(text_id) ?? "", words) }] : [];
    });
    return { sessions, total: first.total, more: page.offset + found.length < first.total };
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
  async tokens(sessionIds: readonly string[]): Promise<Map<string, TokenUsage>> {
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
      .limit(mostSessionsCounted + 1);
    const row = await db.selectFrom(counted.as("counted")).select(total).executeTakeFirst();
    return row?.total ?? 0;
  }

  async #rows(sessionIds: readonly string[]): Promise<Map<string, SessionRow>> {
    const rows = await this.#engine.db
      .selectFrom("sessions")
      .select(sessionColumns)
      .where("sessions.session_id", "in", sessionIds)
      .where((eb) => this.#scope.sessions(eb))
      .execute();
    return new Map(rows.map((row) => [row.session_id, row]));
  }

  async #texts(textIds: readonly number[]): Promise<Map<number, string>> {
    const rows = await this.#engine.db
      .selectFrom("session_texts")
      .select(["text_id", "text"])
      .where("text_id", "in", textIds)
      .execute();
    return new Map(rows.map((row) => [row.text_id, row.text]));
  }
}

const total = sql<number>`CAST(count(*) AS integer)`.as("total");
