import { type Expression, type Selectable, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import type { RunInput, RunStatus } from "../../events/run.ts";
import type { Engine } from "../engine.ts";
import { firstIdAt } from "../run-ids.ts";
import type { Tables } from "../schema.ts";
import type { Scope } from "./scope.ts";

/** Jobs that are counted at most: the count of a longer list stays there. */
export const mostJobsCounted = 10_000;

/** Milliseconds for which a job is counted that has ended. */
const countedFor = 24 * 3_600_000;

/** A background run as an entry of the queue. Times are Unix times in milliseconds. */
export interface Job {
  runId: string;
  agentId: string;
  sessionId: string;
  userId: string | undefined;
  status: RunStatus;
  input: string;
  /** How often it was begun. */
  attempt: number;
  /** How often its process was lost since its last checkpoint. */
  crashes: number;
  /** Which process does it. */
  nodeId: string | undefined;
  cancelRequested: boolean;
  /** The `code` of the error that ended it. */
  errorType: string | undefined;
  createdAt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
}

/** Which jobs. */
export interface JobFilter {
  /** Only such that have ended, or only such that have not. */
  statuses: readonly RunStatus[];
  ended: boolean;
  agentId?: string;
  sessionId?: string;
  userId?: string;
}

/** The queue in numbers. */
export interface QueueStats {
  /** Jobs by how they stand: of those that have ended, the ones of the last 24 hours. */
  counts: Map<RunStatus, number>;
  /** Jobs that wait and that are under way, by agent. */
  agents: { agentId: string; pending: number; running: number }[];
  /** For how long the oldest has waited, in milliseconds; undefined where none waits. */
  oldestAge: number | undefined;
}

/** A process that does runs. */
export interface QueueNode {
  nodeId: string;
  /** Milliseconds for which it still counts as alive; negative where it does not any more. */
  leaseLeft: number;
  /** Runs that it does, in foreground and background. */
  runs: number;
}

/** The queue as operators look at it. A confined principal sees of it what it sees of runs. */
export class JobStore {
  readonly #engine: Engine;
  readonly #scope: Scope;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /** The queue in numbers. */
  async stats(): Promise<QueueStats> {
    const active = await this.#jobs()
      .where("status", "in", ["pending", "running"])
      .select(["status", "agent_id", count, sql<number>`min(created_at)`.as("oldest")])
      .groupBy(["status", "agent_id"])
      .execute();
    const paused = await this.#jobs().where("status", "=", "paused").select(count).executeTakeFirstOrThrow();
    const ended = await this.#jobs()
      .where("run_id", ">=", firstIdAt(Date.now() - countedFor))
      .where("ended_at", "is not", null)
      .select(["status", count])
      .groupBy("status")
      .execute();
    const counts = new Map<RunStatus, number>([["paused", paused.jobs]]);
    const agents = new Map<string, { agentId: string; pending: number; running: number }>();
    let oldest: number | undefined;
    for (const { status, agent_id, jobs, oldest: since } of active) {
      const at = status as "pending" | "running";
      counts.set(at, (counts.get(at) ?? 0) + jobs);
      const agent = agents.get(agent_id) ?? { agentId: agent_id, pending: 0, running: 0 };
      agents.set(agent_id, { ...agent, [at]: jobs });
      if (at === "pending") oldest = Math.min(oldest ?? since, since);
    }
    for (const { status, jobs } of ended) counts.set(status as RunStatus, jobs);
    return {
      counts,
      agents: [...agents.values()].sort((a, b) => (a.agentId < b.agentId ? -1 : 1)),
      oldestAge: oldest === undefined ? undefined : Math.max(0, Date.now() - oldest),
    };
  }

  /** Jobs: those that have not ended in the order of the queue, those that have with the newest first. */
  async list(
    filter: JobFilter,
    { page, limit }: { page: number; limit: number },
  ): Promise<{ jobs: Job[]; total: number }> {
    const wanted = this.#wanted(filter);
    const ordered = filter.ended ? wanted.orderBy("run_id", "desc") : wanted.orderBy("queue_seq");
    const rows = await ordered
      .select(jobColumns)
      .limit(limit)
      .offset((page - 1) * limit)
      .execute();
    const counted = wanted.select(sql.lit(1).as("one")).limit(mostJobsCounted + 1);
    const { jobs: total } = await this.#engine.db
      .selectFrom(counted.as("counted"))
      .select(count)
      .executeTakeFirstOrThrow();
    return { jobs: rows.map(jobOf), total };
  }

  /** One job. */
  async get(runId: string): Promise<Job | undefined> {
    const row = await this.#jobs().where("run_id", "=", runId).select(jobColumns).executeTakeFirst();
    return row && jobOf(row);
  }

  /** The processes that do runs, and those whose lease ran out and whose runs are not yet taken from them. */
  async nodes(): Promise<QueueNode[]> {
    if (!this.#scope.principal.unrestricted) return [];
    const rows = await this.#engine.db
      .selectFrom("nodes")
      .select((eb) => [
        "node_id",
        eb("lease_until", "-", this.#engine.now).as("lease_left"),
        eb
          .selectFrom("runs")
          .whereRef("runs.node_id", "=", "nodes.node_id")
          .where("status", "in", ["pending", "running"])
          .where("runs.node_id", "is not", null)
          .select(count)
          .as("runs"),
      ])
      .orderBy("node_id")
      .execute();
    return rows.map((row) => ({
      nodeId: row.node_id,
      leaseLeft: Number(row.lease_left),
      runs: row.runs ?? 0,
    }));
  }

  #wanted({ statuses, agentId, sessionId, userId }: JobFilter) {
    // Apart, as the indexes are.
    const others = statuses.filter((status) => status !== "paused");
    let query = this.#jobs().where((eb) =>
      eb.or([
        ...(others.length > 0 ? [eb("status", "in", others)] : []),
        ...(others.length < statuses.length ? [eb("status", "=", "paused")] : []),
      ]),
    );
    if (agentId !== undefined) query = query.where("agent_id", "=", agentId);
    if (sessionId !== undefined) query = query.where("session_id", "=", sessionId);
    if (userId !== undefined) query = query.where("user_id", "=", userId);
    return query;
  }

  /** The background runs that the principal sees. */
  #jobs(): SelectQueryBuilder<Tables, "runs", object> {
    return this.#engine.db
      .selectFrom("runs")
      .where("background", "=", 1)
      .where((eb): Expression<SqlBool> => this.#scope.runs(eb));
  }
}

const count = sql<number>`CAST(count(*) AS integer)`.as("jobs");

const jobColumns = [
  "run_id",
  "agent_id",
  "session_id",
  "user_id",
  "status",
  "input",
  "attempt",
  "crashes",
  "node_id",
  "cancel_requested_at",
  "error",
  "created_at",
  "started_at",
  "ended_at",
] as const;

type JobRow = Pick<Selectable<Tables["runs"]>, (typeof jobColumns)[number]>;

function jobOf(row: JobRow): Job {
  return {
    runId: row.run_id,
    agentId: row.agent_id,
    sessionId: row.session_id,
    userId: row.user_id ?? undefined,
    status: row.status as RunStatus,
    input: (JSON.parse(row.input) as RunInput).input_content,
    attempt: row.attempt,
    crashes: row.crashes,
    nodeId: row.node_id ?? undefined,
    cancelRequested: row.cancel_requested_at !== null,
    errorType: row.error ?? undefined,
    createdAt: row.created_at,
    startedAt: row.started_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
  };
}
