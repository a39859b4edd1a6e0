import { sql } from "kysely";
import type { RunMetrics } from "../events/metrics.ts";
import type { Engine } from "./engine.ts";
import { countRuns } from "./queries/usage-writes.ts";
import type { RefreshStatus, UsageLog } from "./usage.ts";

/** Milliseconds after which a refresh that was not heard of has failed: its process is gone. */
const silence = 60_000;

/** The one implementation, for both engines. */
export class EngineUsageLog implements UsageLog {
  readonly #engine: Pick<Engine, "db" | "transaction" | "locked">;

  constructor(engine: Pick<Engine, "db" | "transaction" | "locked">) {
    this.#engine = engine;
  }

  async count(
    atOnce: number,
    price: (metrics: RunMetrics) => RunMetrics,
  ): Promise<{ runs: number; days: string[] }> {
    const { db } = this.#engine;
    // Looked for before the lock: mostly there is nothing to count.
    const some = await db
      .selectFrom("runs")
      .select("run_id")
      .where(sql.ref("metered"), "=", sql.lit(0))
      .where("ended_at", "is not", null)
      .limit(1)
      .executeTakeFirst();
    return some ? countRuns(this.#engine, atOnce, price) : { runs: 0, days: [] };
  }

  async status(): Promise<RefreshStatus> {
    const row = await this.#engine.db
      .selectFrom("metric_refreshes")
      .selectAll()
      .where("id", "=", 1)
      .executeTakeFirst();
    if (!row) return { status: "idle", startedAt: undefined, finishedAt: undefined, error: undefined };
    const isLost = row.status === "running" && (row.alive_at ?? 0) < Date.now() - silence;
    return {
      status: isLost ? "failed" : row.status,
      startedAt: row.started_at ?? undefined,
      finishedAt: row.finished_at ?? undefined,
      error: isLost ? "The process that refreshed is gone." : (row.error ?? undefined),
    };
  }

  async note({ status, error }: Pick<RefreshStatus, "status" | "error">): Promise<void> {
    const at = Date.now();
    const times = status === "running" ? { started_at: at, finished_at: null } : { finished_at: at };
    await this.#engine.transaction(async (db) => {
      await db
        .updateTable("metric_refreshes")
        .set({ status, error: error ?? null, alive_at: at, ...times })
        .where("id", "=", 1)
        .execute();
    });
  }

  async pendingRuns(): Promise<number> {
    const row = await this.#engine.db
      .selectFrom("runs")
      .select(sql<number>`CAST(count(*) AS integer)`.as("total"))
      // As the index of runs that are under way is written: SQLite knows it by its words only.
      .where(sql<boolean>`status in ('pending', 'running')`)
      .where(sql.ref("status"), "=", sql.lit("pending"))
      .executeTakeFirst();
    return row?.total ?? 0;
  }
}
