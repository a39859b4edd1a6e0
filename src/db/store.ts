import type { ExpressionBuilder, Kysely } from "kysely";
import { NotFoundError } from "../errors.ts";
import type { MediaReference, Message } from "../events/messages.ts";
import type { Store } from "./database.ts";
import type { Engine } from "./engine.ts";
import type { Principal } from "./principal.ts";
import { historyQuery } from "./queries/history.ts";
import { runOf } from "./queries/rows.ts";
import type {
  Attached,
  NewRun,
  RunFilter,
  SessionStart,
  StoredEvents,
  StoredMedia,
  StoredRun,
} from "./records.ts";
import type { Tables } from "./schema.ts";

/** The queries that every handle on a database shares. */
export interface StoreQueries {
  history: ReturnType<typeof historyQuery>;
}

/** Builds them once for a database. */
export function storeQueries(db: Kysely<Tables>): StoreQueries {
  return { history: historyQuery(db) };
}

/** Rows of a run's log that are read at once. */
const eventRows = 64;

/** The one implementation of {@link Store}, for both engines. */
export class SqlStore implements Store {
  readonly #engine: Engine;
  readonly #queries: StoreQueries;
  readonly #principal: Principal;

  constructor(engine: Engine, queries: StoreQueries, principal: Principal) {
    this.#engine = engine;
    this.#queries = queries;
    this.#principal = principal;
  }

  async acceptRun(run: NewRun): Promise<SessionStart> {
    const { unrestricted, userId, sessionId } = this.#principal;
    const own = unrestricted ? run : { ...run, userId };
    const barred =
      !unrestricted && (userId === undefined || (sessionId !== undefined && sessionId !== run.sessionId));
    const session = barred ? undefined : await this.#engine.acceptRun(own);
    if (!session) throw new NotFoundError(`Session ${run.sessionId} not found.`);
    return session;
  }

  async history(filter: { sessionId: string; agentId: string; runs: number }): Promise<Attached[]> {
    if (!(await this.#ownsSession(filter.sessionId))) return [];
    const rows = await this.#engine.all(this.#queries.history, filter);
    const messages = rows.map(({ message }) => JSON.parse(message) as Message);
    const media = await this.#mediaOf(messages.flatMap(referencesOf).map(({ id }) => id));
    return messages.map((message) => ({
      message,
      media: referencesOf(message).flatMap(({ id }) => media.get(id) ?? []),
    }));
  }

  async run(filter: RunFilter): Promise<StoredRun | undefined> {
    let query = this.#engine.db
      .selectFrom("runs")
      .selectAll()
      .where("run_id", "=", filter.runId)
      .where((eb) => this.#mayRead(eb));
    if (filter.agentId !== undefined) query = query.where("agent_id", "=", filter.agentId);
    if (filter.sessionId !== undefined) query = query.where("session_id", "=", filter.sessionId);
    if (filter.userId !== undefined) query = query.where("user_id", "=", filter.userId);
    const row = await query.executeTakeFirst();
    if (!row) return undefined;
    const messages = await this.#messagesOf([row.run_id]);
    return { run: runOf(row, messages.get(row.run_id) ?? []), order: row.queue_seq };
  }

  async runsOfSession(filter: Parameters<Store["runsOfSession"]>[0]): Promise<StoredRun[]> {
    let query = this.#engine.db
      .selectFrom("runs")
      .selectAll()
      .where("session_id", "=", filter.sessionId)
      .where((eb) => this.#mayRead(eb))
      .orderBy("queue_seq", "desc")
      .limit(filter.limit);
    if (filter.agentId !== undefined) query = query.where("agent_id", "=", filter.agentId);
    if (filter.userId !== undefined) query = query.where("user_id", "=", filter.userId);
    if (filter.status !== undefined) query = query.where("status", "=", filter.status);
    if (filter.before !== undefined) query = query.where("queue_seq", "<", filter.before);
    const rows = (await query.execute()).reverse();
    const messages = await this.#messagesOf(rows.map((row) => row.run_id));
    return rows.map((row) => ({ run: runOf(row, messages.get(row.run_id) ?? []), order: row.queue_seq }));
  }

  async events(runId: string, after: number): Promise<StoredEvents[]> {
    const rows = await this.#engine.db
      .selectFrom("run_events")
      .innerJoin("runs", "runs.run_id", "run_events.run_id")
      .select(["first_index", "events"])
      .where("run_events.run_id", "=", runId)
      .where((eb) => this.#mayRead(eb))
      .where("last_index", ">", after)
      .orderBy("first_index")
      .limit(eventRows)
      .execute();
    return rows.map((row) => ({
      firstIndex: row.first_index,
      events: (JSON.parse(row.events) as unknown[]).map((event) => JSON.stringify(event)),
    }));
  }

  async media(mediaId: string): Promise<StoredMedia | undefined> {
    return (await this.#mediaOf([mediaId])).get(mediaId);
  }

  async #mediaOf(ids: readonly string[]): Promise<Map<string, StoredMedia>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#engine.db
      .selectFrom("run_media")
      .innerJoin("media", "media.sha256", "run_media.sha256")
      .innerJoin("runs", "runs.run_id", "run_media.run_id")
      .select(["media_id", "run_media.sha256", "filename", "mime_type", "bytes"])
      .where("media_id", "in", ids)
      .where((eb) => this.#mayRead(eb))
      .execute();
    return new Map(
      rows.map((row) => [
        row.media_id,
        {
          mediaId: row.media_id,
          sha256: row.sha256,
          filename: row.filename,
          mimeType: row.mime_type,
          bytes: row.bytes,
        },
      ]),
    );
  }

  async #messagesOf(runIds: readonly string[]): Promise<Map<string, Message[]>> {
    const messages = new Map<string, Message[]>();
    if (runIds.length === 0) return messages;
    const rows = await this.#engine.db
      .selectFrom("messages")
      .select(["run_id", "message"])
      .where("run_id", "in", runIds)
      .orderBy("run_id")
      .orderBy("position")
      .execute();
    for (const row of rows) {
      const ofRun = messages.get(row.run_id);
      const message = JSON.parse(row.message) as Message;
      if (ofRun) ofRun.push(message);
      else messages.set(row.run_id, [message]);
    }
    return messages;
  }

  async #ownsSession(sessionId: string): Promise<boolean> {
    const { unrestricted, userId } = this.#principal;
    if (unrestricted) return true;
    if (userId === undefined) return false;
    const session = await this.#engine.db
      .selectFrom("sessions")
      .select("session_id")
      .where("session_id", "=", sessionId)
      .where("user_id", "=", userId)
      .executeTakeFirst();
    return session !== undefined;
  }

  /** A run is seen by whoever owns its session. A principal that is confined and has no user sees none. */
  #mayRead(eb: ExpressionBuilder<Tables, "runs">) {
    const { unrestricted, userId, sessionId } = this.#principal;
    if (unrestricted) return eb.and([]);
    if (userId === undefined) return eb.or([]);
    const owned = eb.exists(
      eb
        .selectFrom("sessions")
        .select("sessions.session_id")
        .whereRef("sessions.session_id", "=", "runs.session_id")
        .where("sessions.user_id", "=", userId),
    );
    return sessionId === undefined ? owned : eb.and([owned, eb("runs.session_id", "=", sessionId)]);
  }
}

function referencesOf(message: Message): MediaReference[] {
  return [...(message.images ?? []), ...(message.audio ?? []), ...(message.files ?? [])];
}
