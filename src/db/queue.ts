import { type RawBuilder, type Selectable, sql } from "kysely";
import { type AgentOSError, RunCancelledError } from "../errors.ts";
import type { RunStatus } from "../events/run.ts";
import type { Engine } from "./engine.ts";
import { type PreparedQuery, prepareSql } from "./prepared.ts";
import { type ClaimedSession, sessionStartOf } from "./queries/claimed.ts";
import type { SessionStart } from "./records.ts";
import type { Tables } from "./schema.ts";
import { ending } from "./stored-end.ts";

/** The row of a run. */
export type RunRow = Selectable<Tables["runs"]>;

/** What names a run in the server's log. */
export type NamedRow = Pick<RunRow, "run_id" | "session_id" | "traceparent">;

/** A run that this process may begin or go on with. */
export interface ClaimedRun {
  row: RunRow;
  session: SessionStart;
}

/** Runs that are looked at in the order in which they came. Behind them, only the first of each user counts. */
const window = 256;

/** From so many losses of its process on, without a checkpoint in between, a run is done alone: it may be to blame. */
const suspectFrom = 2;

type Claim = PreparedQuery<{ node: string; free: number; idle: number }, RunRow>;

/** The runs that wait, which are the rows of `runs` that are pending. All times are the database's. */
export class Queue {
  readonly #engine: Engine;
  readonly #claims = new Map<string, Claim>();
  readonly #begin: PreparedQuery<{ run: string; always: number }, { run_id: string }>;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#begin = beginQuery(engine);
  }

  /**
   * Takes background runs for a process. It goes round the users: whose runs are least under way comes first, then who
   * waits longest. The runs of a session come in their order, one at a time. A run that lost its process again and again is
   * given to one that does no other, and alone: see {@link isSuspect}.
   *
   * @param agents - the ids of the agents that the process serves
   * @param room - how many it can take, and whether it does none now
   */
  async claim(
    nodeId: string,
    agents: readonly string[],
    { free, idle }: { free: number; idle: boolean },
  ): Promise<ClaimedRun[]> {
    const key = agents.join("\n");
    const query = this.#claims.get(key) ?? claimQuery(this.#engine, agents);
    this.#claims.set(key, query);
    const rows = await this.#engine.write(query, { node: nodeId, free, idle: idle ? 1 : 0 });
    if (rows.length === 0) return [];
    const sessions = await this.#engine.db
      .selectFrom("sessions")
      .select(["session_id", "state", "user_id", "created_at", "named_by", "summary", "compacted_until"])
      .where("session_id", "in", [...new Set(rows.map((row) => row.session_id))])
      .execute();
    const byId = new Map(sessions.map((session) => [session.session_id, session]));
    return rows
      .toSorted((a, b) => a.queue_seq - b.queue_seq)
      .map((row) => ({ row, session: startOf(row, byId.get(row.session_id)) }));
  }

  /** Whether a run that has to be done alone has waited for so many milliseconds, because no process was idle. */
  async wantsIdle(agents: readonly string[], waited: number): Promise<boolean> {
    const { db, now } = this.#engine;
    const waiting = await db
      .selectFrom("runs")
      .select("run_id")
      .where("status", "=", "pending")
      .where("background", "=", 1)
      .where("crashes", ">=", suspectFrom)
      .where("agent_id", "in", agents)
      .where((eb) => eb("available_at", "<", eb(now, "-", Math.round(waited))))
      .limit(1)
      .executeTakeFirst();
    return waiting !== undefined;
  }

  /**
   * Begins a foreground run that waits for its session.
   *
   * @param always - also where it is not its turn
   * @returns whether it begins, has to wait, or waits no longer: it was ended or deleted by somebody else
   */
  async begin(runId: string, always: boolean): Promise<"begins" | "waits" | "gone"> {
    const begun = await this.#engine.write(this.#begin, { run: runId, always: always ? 1 : 0 });
    if (begun.length > 0) return "begins";
    const row = await this.#engine.db
      .selectFrom("runs")
      .select(["status", "attempt"])
      .where("run_id", "=", runId)
      .executeTakeFirst();
    if (row?.status === "pending") return "waits";
    // The answer to an earlier try was lost: nobody else begins a run of this process's.
    return row?.status === "running" && row.attempt === 1 ? "begins" : "gone";
  }

  /**
   * Cancels a run. One that waits or is paused ends at once; one that is under way is marked, for its process to end it.
   *
   * @returns how the run stands then, and the index of the event that ended it, where it was this that did; undefined where
   *   there is no such run
   */
  async cancel(
    runId: string,
    reason: RunCancelledError,
  ): Promise<{ status: RunStatus; endedAt?: number } | undefined> {
    return ending(this.#engine, async (db, end) => {
      const row = await this.#engine
        .locked(db.selectFrom("runs").selectAll("runs").where("run_id", "=", runId))
        .executeTakeFirst();
      if (row?.status === "pending" || row?.status === "paused") {
        return { status: "cancelled", endedAt: await end(row, reason) };
      }
      if (row?.status === "running" && row.cancel_requested_at === null) {
        await db
          .updateTable("runs")
          .set({ cancel_requested_at: this.#engine.now })
          .where("run_id", "=", runId)
          .execute();
      }
      return row && { status: row.status as RunStatus };
    });
  }

  /** Cancels a paused run where that was asked for before it paused. @returns the index of the event that ended it */
  async cancelPaused(runId: string, reason: RunCancelledError): Promise<number | undefined> {
    return ending(this.#engine, async (db, end) => {
      const paused = db
        .selectFrom("runs")
        .selectAll("runs")
        .where("run_id", "=", runId)
        .where("status", "=", "paused")
        .where("cancel_requested_at", "is not", null);
      const row = await this.#engine.locked(paused).executeTakeFirst();
      return row && end(row, reason);
    });
  }

  /**
   * Puts a background run back that this process does not go on with. That is no crash. One that was to be cancelled ends.
   */
  async release(runId: string, attempt: number): Promise<void> {
    await ending(this.#engine, async (db, end) => {
      const row = await this.#engine
        .locked(db.selectFrom("runs").selectAll("runs").where("run_id", "=", runId))
        .executeTakeFirst();
      if (row?.attempt !== attempt || row.status !== "running") return;
      if (row.cancel_requested_at !== null) {
        await end(row, new RunCancelledError());
        return;
      }
      await db
        .updateTable("runs")
        .set({ status: "pending", node_id: null, attempt: attempt + 1 })
        .where("run_id", "=", runId)
        .execute();
    });
  }

  /** Ends a run that this process holds and cannot go on with. */
  async end(runId: string, attempt: number, reason: AgentOSError): Promise<void> {
    await ending(this.#engine, async (db, end) => {
      const row = await this.#engine
        .locked(db.selectFrom("runs").selectAll("runs").where("run_id", "=", runId))
        .executeTakeFirst();
      if (row?.attempt !== attempt || (row.status !== "running" && row.status !== "pending")) return;
      await end(row, reason);
    });
  }

  /** The runs that the database holds for a process's. */
  async heldBy(
    nodeId: string,
  ): Promise<
    { runId: string; named: NamedRow; attempt: number; background: boolean; cancelRequested: boolean }[]
  > {
    const rows = await this.#engine.db
      .selectFrom("runs")
      .select(["run_id", "session_id", "traceparent", "attempt", "background", "cancel_requested_at"])
      .where("node_id", "=", nodeId)
      .where("status", "in", ["pending", "running"])
      .where("node_id", "is not", null)
      .execute();
    return rows.map((row) => ({
      runId: row.run_id,
      named: { run_id: row.run_id, session_id: row.session_id, traceparent: row.traceparent },
      attempt: row.attempt,
      background: row.background === 1,
      cancelRequested: row.cancel_requested_at !== null,
    }));
  }
}

/** Whether a run may be to blame for the loss of the processes that did it, so that no other is to be done beside it. */
export function isSuspect({ crashes }: Pick<RunRow, "crashes">): boolean {
  return crashes >= suspectFrom;
}

/** Whether no earlier run of its session is under way or waits; or it does not mind. */
function isItsTurn(engine: Engine, run: string): RawBuilder<boolean> {
  const mine = (column: string) => sql.ref(`${run}.${column}`);
  return sql<boolean>`(${mine("waits")} = 0 OR NOT EXISTS (
    SELECT 1 FROM ${engine.table("runs")} AS earlier
    WHERE earlier.session_id = ${mine("session_id")} AND earlier.status IN ('pending', 'running')
      AND earlier.queue_seq < ${mine("queue_seq")}))`;
}

function claimQuery(engine: Engine, agents: readonly string[]): Claim {
  const runs = engine.table("runs");
  const waiting = sql`r.status = 'pending' AND r.background = 1`;
  const isNext = sql`${waiting} AND r.available_at <= ${engine.now}
    AND r.agent_id IN (${sql.join(agents)}) AND ${isItsTurn(engine, "r")}`;
  const claimable = sql`${isNext} AND r.crashes < ${sql.lit(suspectFrom)}`;
  return prepareSql<{ node: string; free: number; idle: number }>(engine.db)(
    (value) => sql<RunRow>`
      WITH RECURSIVE suspect AS (
        SELECT r.run_id FROM ${runs} AS r
        WHERE ${value("idle")} = 1 AND ${isNext} AND r.crashes >= ${sql.lit(suspectFrom)} ORDER BY r.queue_seq LIMIT 1
      ), oldest AS (
        SELECT r.run_id, r.queue_seq, coalesce(r.user_id, '') AS owner
        FROM ${runs} AS r WHERE ${claimable} ORDER BY r.queue_seq LIMIT ${sql.lit(window)}
      ), owners(owner) AS (
        SELECT min(coalesce(r.user_id, '')) FROM ${runs} AS r
        WHERE ${waiting} AND (SELECT count(*) FROM oldest) = ${sql.lit(window)}
        UNION ALL
        SELECT (SELECT min(coalesce(r.user_id, '')) FROM ${runs} AS r
          WHERE ${waiting} AND coalesce(r.user_id, '') > owners.owner)
        FROM owners WHERE owners.owner IS NOT NULL
      ), firsts AS (
        SELECT (SELECT r.run_id FROM ${runs} AS r WHERE ${claimable} AND coalesce(r.user_id, '') = owners.owner
          ORDER BY r.queue_seq LIMIT 1) AS run_id
        FROM owners WHERE owners.owner IS NOT NULL
      ), candidates AS (
        SELECT run_id, queue_seq, owner FROM oldest
        UNION
        SELECT r.run_id, r.queue_seq, coalesce(r.user_id, '') FROM firsts JOIN ${runs} AS r ON r.run_id = firsts.run_id
      ), busy AS (
        SELECT coalesce(r.user_id, '') AS owner, count(*) AS runs FROM ${runs} AS r
        WHERE r.status = 'running' AND r.background = 1 GROUP BY 1
      ), turns AS (
        SELECT candidates.run_id, candidates.queue_seq, coalesce(busy.runs, 0)
          + row_number() OVER (PARTITION BY candidates.owner ORDER BY candidates.queue_seq) AS turn
        FROM candidates LEFT JOIN busy ON busy.owner = candidates.owner
      ), chosen AS (
        SELECT run_id FROM turns WHERE NOT EXISTS (SELECT 1 FROM suspect) ORDER BY turn, queue_seq LIMIT ${value("free")}
      ), taken AS (
        SELECT r.run_id FROM ${runs} AS r
        WHERE (r.run_id IN (SELECT run_id FROM chosen) OR r.run_id IN (SELECT run_id FROM suspect)) AND r.status = 'pending'
        ${engine.lockOf("r")}
      )
      UPDATE ${runs} SET status = 'running', node_id = ${value("node")}, attempt = attempt + 1,
        started_at = coalesce(started_at, ${engine.now})
      WHERE run_id IN (SELECT run_id FROM taken) AND status = 'pending' AND EXISTS (
        SELECT 1 FROM ${engine.table("nodes")} AS n WHERE n.node_id = ${value("node")} AND n.lease_until > ${engine.now})
      RETURNING *`,
  );
}

function beginQuery(engine: Engine): PreparedQuery<{ run: string; always: number }, { run_id: string }> {
  const runs = engine.table("runs");
  return prepareSql<{ run: string; always: number }>(engine.db)(
    (value) => sql<{ run_id: string }>`
      UPDATE ${runs} AS r SET status = 'running', attempt = attempt + 1, started_at = ${engine.now}
      WHERE r.run_id = ${value("run")} AND r.status = 'pending'
        AND (${value("always")} = 1 OR ${isItsTurn(engine, "r")})
      RETURNING run_id`,
  );
}

/** A run that was claimed finds its session as it is now; one that was deleted meanwhile is as if it were new. */
function startOf(row: RunRow, session: ClaimedSession | undefined): SessionStart {
  return sessionStartOf(
    session ?? {
      state: "{}",
      user_id: row.user_id,
      created_at: row.created_at,
      named_by: null,
      summary: null,
      compacted_until: null,
    },
    row.created_at,
  );
}
