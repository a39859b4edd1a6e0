import { type SelectQueryBuilder, sql } from "kysely";
import { ConflictError, NotFoundError, QueueFullError } from "../../errors.ts";
import type { JsonValue } from "../../events/json.ts";
import { type Message, mediaIn } from "../../events/messages.ts";
import type { RunInput, RunStatus } from "../../events/run.ts";
import type { Engine } from "../engine.ts";
import { admitRun } from "../queries/admit.ts";
import type { historyQuery } from "../queries/history.ts";
import { type LogRow, logPage } from "../queries/log-page.ts";
import { runOf } from "../queries/rows.ts";
import type {
  Acceptance,
  Admission,
  Attached,
  LogCursor,
  LogStanding,
  NewRun,
  RunFilter,
  RunInSession,
  RunPreview,
  SessionRuns,
  StoredEvents,
  StoredRun,
} from "../records.ts";
import type { Tables } from "../schema.ts";
import type { MediaStore } from "./media.ts";
import type { Scope } from "./scope.ts";

/** Runs of a session that a follower is told of at once. */
export const fewRuns = 100;

/** Runs whose messages are asked for at once: a statement takes so many values only. */
const runsAtOnce = 1000;

/** Runs: accepting, reading, and their logs. */
export class RunStore {
  readonly #engine: Engine;
  readonly #history: ReturnType<typeof historyQuery>;
  readonly #scope: Scope;
  readonly #media: MediaStore;

  constructor(engine: Engine, history: ReturnType<typeof historyQuery>, scope: Scope, media: MediaStore) {
    this.#engine = engine;
    this.#history = history;
    this.#scope = scope;
    this.#media = media;
  }

  /**
   * Accepts a run: makes its session or adopts it, and writes the run's row and files, all or nothing.
   *
   * @returns how the run finds its session, or which run was accepted before under the same key
   * @throws {NotFoundError} when the session is another user's
   * @throws {ConflictError} when the session is busy, and that was to be refused
   * @throws {QueueFullError} when too many background runs wait
   */
  async accept(
    run: NewRun,
    admission: Admission,
  ): Promise<Extract<Acceptance, { kind: "accepted" | "repeated" }>> {
    const { unrestricted, userId, sessionId } = this.#scope.principal;
    const own = unrestricted ? run : { ...run, userId };
    const barred =
      !unrestricted && (userId === undefined || (sessionId !== undefined && sessionId !== run.sessionId));
    const acceptance: Acceptance = barred
      ? { kind: "foreign" }
      : admission.key || admission.ifBusy
        ? await admitRun(this.#engine, own, admission)
        : await this.#engine.acceptRun(own, admission.limits);
    switch (acceptance.kind) {
      case "foreign":
        throw new NotFoundError(`Session ${run.sessionId} not found.`);
      case "busy":
        throw new ConflictError(
          `Another run of the session ${run.sessionId} is under way, and on_busy is "reject". Wait for it, or send on_busy=enqueue.`,
        );
      case "full":
        throw new QueueFullError(acceptance.of);
      default:
        return acceptance;
    }
  }

  /**
   * The messages of the last completed runs of an agent in a session, oldest first, without system prompts.
   *
   * @param filter - `after`: only runs whose `order` is greater; `before`: only those whose is less
   */
  async history(filter: {
    sessionId: string;
    agentId: string;
    runs: number;
    after: number;
    before?: number;
  }): Promise<Attached[]> {
    if (!(await this.#ownsSession(filter.sessionId))) return [];
    const rows = await this.#engine.all(this.#history, { before: Number.MAX_SAFE_INTEGER, ...filter });
    const said = rows
      .map(({ message, run_id, order }) => ({
        runId: run_id,
        order,
        message: JSON.parse(message) as Message,
      }))
      // What a run took along of an earlier one, which is told by that one.
      .filter(({ message }) => !message.from_history);
    const media = await this.#media.many(said.flatMap(({ message }) => mediaIn(message).map(({ id }) => id)));
    return said.map((one) => ({
      ...one,
      media: mediaIn(one.message).flatMap(({ id }) => media.get(id) ?? []),
    }));
  }

  /** One run, or undefined where the principal has none such. */
  async get(filter: RunFilter): Promise<StoredRun | undefined> {
    let query = this.#engine.db
      .selectFrom("runs")
      .selectAll()
      .where("run_id", "=", filter.runId)
      .where((eb) => this.#scope.runs(eb));
    if (filter.agentId !== undefined) query = query.where("agent_id", "=", filter.agentId);
    if (filter.sessionId !== undefined) query = query.where("session_id", "=", filter.sessionId);
    if (filter.userId !== undefined) query = query.where("user_id", "=", filter.userId);
    const row = await query.executeTakeFirst();
    if (!row) return undefined;
    const messages = await this.#messagesOf([row.run_id]);
    return { run: runOf(row, messages.get(row.run_id) ?? []), order: row.queue_seq };
  }

  /** Runs of a session, oldest first. */
  async ofSession(filter: SessionRuns): Promise<StoredRun[]> {
    const rows = await this.#pageOf(filter).selectAll().execute();
    if (filter.after === undefined) rows.reverse();
    const messages = await this.#messagesOf(rows.map((row) => row.run_id));
    return rows.map((row) => ({ run: runOf(row, messages.get(row.run_id) ?? []), order: row.queue_seq }));
  }

  /** Runs of a session in short, oldest first. Their messages are not read. */
  async previews(filter: SessionRuns): Promise<RunPreview[]> {
    const rows = await this.#pageOf(filter)
      .select(["run_id", "parent_run_id", "agent_id", "user_id", "status", "input", "content"])
      .select(["created_at", "queue_seq"])
      .execute();
    if (filter.after === undefined) rows.reverse();
    return rows.map((row) => ({
      runId: row.run_id,
      parentRunId: row.parent_run_id ?? undefined,
      agentId: row.agent_id,
      userId: row.user_id ?? undefined,
      status: row.status as RunStatus,
      input: (JSON.parse(row.input) as RunInput).input_content,
      content: JSON.parse(row.content) as JsonValue,
      createdAt: Math.floor(row.created_at / 1000),
      order: row.queue_seq,
    }));
  }

  /** Whether a session has a run at all. */
  async any(sessionId: string, statuses?: readonly RunStatus[]): Promise<boolean> {
    const query = this.#pageOf({ sessionId, limit: 1, ...(statuses && { statuses }) });
    return (await query.select("run_id").executeTakeFirst()) !== undefined;
  }

  #pageOf(filter: SessionRuns) {
    const { agentId, userId, statuses, createdAfter, createdBefore, before, after } = filter;
    let query = this.#engine.db
      .selectFrom("runs")
      .where("session_id", "=", filter.sessionId)
      .where((eb) => this.#scope.runs(eb))
      .orderBy("queue_seq", after === undefined ? "desc" : "asc")
      .limit(filter.limit);
    if (agentId !== undefined) query = query.where("agent_id", "=", agentId);
    if (userId !== undefined) query = query.where("user_id", "=", userId);
    if (statuses) query = query.where("status", "in", statuses);
    if (createdAfter !== undefined) query = query.where("created_at", ">=", createdAfter * 1000);
    if (createdBefore !== undefined) query = query.where("created_at", "<", (createdBefore + 1) * 1000);
    if (before !== undefined) query = query.where("queue_seq", "<", before);
    if (after !== undefined) query = query.where("queue_seq", ">", after);
    return query;
  }

  /** A page of a run's log that begins right after an index. Empty at its end. */
  async events(runId: string, after: number): Promise<StoredEvents[]> {
    const page = logPage((name) => this.#engine.table(name), sql`${runId}`, sql`${after}`);
    const rows = await this.#engine.db
      .selectFrom(sql<LogRow>`(${page})`.as("page"))
      .select(["first_index", "events"])
      .where((eb) =>
        eb.exists(
          eb
            .selectFrom("runs")
            .select("runs.run_id")
            .where("runs.run_id", "=", runId)
            .where((runs) => this.#scope.runs(runs)),
        ),
      )
      .orderBy("first_index")
      .execute();
    return rows.map(storedEvents);
  }

  /** The same for several logs at once, in their order. */
  async pages(wanted: readonly LogCursor[]): Promise<StoredEvents[][]> {
    if (!this.#scope.principal.unrestricted) {
      return Promise.all(wanted.map(({ runId, after }) => this.events(runId, after)));
    }
    const pages = await this.#engine.logPages(wanted);
    return pages.map((rows) => rows.map(storedEvents));
  }

  /** How runs and their stored logs stand. One that the principal does not see, or that is gone, has none. */
  async standings(runIds: readonly string[]): Promise<Map<string, LogStanding>> {
    const standings = new Map<string, LogStanding>();
    for (let i = 0; i < runIds.length; i += runsAtOnce) {
      const rows = await this.#engine.db
        .selectFrom("runs")
        .select(["runs.run_id", "status", "error", "checkpoint_index"])
        .select((eb) => {
          const log = eb.selectFrom("run_events").whereRef("run_events.run_id", "=", "runs.run_id").limit(1);
          return [
            log.select("first_index").orderBy("first_index").as("first_stored"),
            log.select("last_index").orderBy("first_index", "desc").as("last_stored"),
          ];
        })
        .where("runs.run_id", "in", runIds.slice(i, i + runsAtOnce))
        .where((eb) => this.#scope.runs(eb))
        .execute();
      for (const row of rows) {
        standings.set(row.run_id, {
          status: row.status as RunStatus,
          ...(row.error !== null && { errorType: row.error }),
          firstIndex: row.first_stored ?? undefined,
          lastIndex: Math.max(row.checkpoint_index, row.last_stored ?? -1),
        });
      }
    }
    return standings;
  }

  /** The runs of a session that wait or are under way, in their order. */
  underWay(sessionId: string): Promise<RunInSession[]> {
    return this.#briefly(sessionId, (query) => query.where("status", "in", ["pending", "running"]));
  }

  /** The next runs of a session after a place in the order of all. */
  laterThan(sessionId: string, order: number): Promise<RunInSession[]> {
    return this.#briefly(sessionId, (query) => query.where("queue_seq", ">", order).limit(fewRuns));
  }

  /** One run of a session. */
  async inSession(sessionId: string, runId: string): Promise<RunInSession | undefined> {
    return (await this.#briefly(sessionId, (query) => query.where("run_id", "=", runId)))[0];
  }

  /** The place of a session's last run in the order of all; 0 where it has none. */
  async lastOrder(sessionId: string): Promise<number> {
    const last = await this.#pageOf({ sessionId, limit: 1 }).select("queue_seq").executeTakeFirst();
    return last?.queue_seq ?? 0;
  }

  async #briefly(
    sessionId: string,
    narrow: (query: SelectQueryBuilder<Tables, "runs", object>) => SelectQueryBuilder<Tables, "runs", object>,
  ): Promise<RunInSession[]> {
    const query = this.#engine.db
      .selectFrom("runs")
      .where("session_id", "=", sessionId)
      .where((eb) => this.#scope.runs(eb))
      .orderBy("queue_seq");
    const rows = await narrow(query).select(["run_id", "agent_id", "status", "queue_seq"]).execute();
    return rows.map((row) => ({
      runId: row.run_id,
      agentId: row.agent_id,
      status: row.status as RunStatus,
      order: row.queue_seq,
    }));
  }

  async #messagesOf(runIds: readonly string[]): Promise<Map<string, Message[]>> {
    const messages = new Map<string, Message[]>();
    for (let i = 0; i < runIds.length; i += runsAtOnce) {
      const rows = await this.#engine.db
        .selectFrom("messages")
        .select(["run_id", "message"])
        .where("run_id", "in", runIds.slice(i, i + runsAtOnce))
        .orderBy("run_id")
        .orderBy("position")
        .execute();
      for (const row of rows) {
        const ofRun = messages.get(row.run_id);
        const message = JSON.parse(row.message) as Message;
        if (ofRun) ofRun.push(message);
        else messages.set(row.run_id, [message]);
      }
    }
    return messages;
  }

  async #ownsSession(sessionId: string): Promise<boolean> {
    if (this.#scope.principal.unrestricted) return true;
    const session = await this.#engine.db
      .selectFrom("sessions")
      .select("session_id")
      .where("session_id", "=", sessionId)
      .where((eb) => this.#scope.sessions(eb))
      .executeTakeFirst();
    return session !== undefined;
  }
}

function storedEvents(row: LogRow): StoredEvents {
  return {
    firstIndex: row.first_index,
    events: (JSON.parse(row.events) as { event: string }[]).map((one) => ({
      event: one.event,
      json: JSON.stringify(one),
    })),
  };
}
