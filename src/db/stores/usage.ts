import type { TokenUsage } from "../../events/metrics.ts";
import type { Engine } from "../engine.ts";
import { countOf, histogramOf, quantilesOf } from "../histogram.ts";
import type { LatencyDay, ModelDay, UsageDay, UsageFilter } from "../usage.ts";
import type { Scope } from "./scope.ts";

/** What was used by day. A confined principal sees what its own user used. */
export class UsageStore {
  readonly #engine: Engine;
  readonly #scope: Scope;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /** Days with runs, the first first. */
  async days(filter: UsageFilter): Promise<UsageDay[]> {
    const userId = this.#userOf(filter);
    if (userId === undefined) return [];
    const { db } = this.#engine;
    const [from, until] = [filter.from ?? "", filter.until ?? "9999-12-31"];
    const rows = await db
      .selectFrom("metric_days")
      .selectAll()
      .where("user_id", "=", userId)
      .where("day", ">=", from)
      .where("day", "<=", until)
      .orderBy("day")
      .execute();
    const models = await this.#models(userId, from, until);
    // Latencies are kept of all users together: one user's would tell of the others.
    const latencies = userId === "" ? await this.#latencies(from, until) : new Map<string, LatencyDay[]>();
    return rows.map((row) => ({
      day: row.day,
      runs: row.runs,
      failedRuns: row.failed_runs,
      cancelledRuns: row.cancelled_runs,
      sessions: row.sessions,
      users: row.users,
      tokens: tokensOf(row),
      discardedTokens: row.discarded_tokens,
      cost: row.cost,
      unpricedRuns: row.unpriced_runs,
      models: models.get(row.day) ?? [],
      latencies: latencies.get(row.day) ?? [],
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    }));
  }

  async #models(userId: string, from: string, until: string): Promise<Map<string, ModelDay[]>> {
    const rows = await this.#engine.db
      .selectFrom("metric_models")
      .selectAll()
      .where("user_id", "=", userId)
      .where("day", ">=", from)
      .where("day", "<=", until)
      .orderBy("day")
      .orderBy("runs", "desc")
      .orderBy("model_id")
      .execute();
    return byDay(rows, (row) => ({
      modelId: row.model_id,
      modelProvider: row.model_provider,
      runs: row.runs,
      tokens: tokensOf(row),
      cost: row.cost,
      unpricedRuns: row.unpriced_runs,
    }));
  }

  async #latencies(from: string, until: string): Promise<Map<string, LatencyDay[]>> {
    const rows = await this.#engine.db
      .selectFrom("metric_latencies")
      .selectAll()
      .where("day", ">=", from)
      .where("day", "<=", until)
      .orderBy("day")
      .orderBy("agent_id")
      .orderBy("model_id")
      .execute();
    return byDay(rows, (row) => {
      const [durations, firstTokens] = [histogramOf(row.durations), histogramOf(row.first_tokens)];
      return {
        agentId: row.agent_id,
        modelId: row.model_id,
        modelProvider: row.model_provider,
        runs: countOf(durations),
        duration: quantilesOf(durations),
        timeToFirstToken: quantilesOf(firstTokens),
      };
    });
  }

  /** Whose days are meant: empty for all; undefined where the principal may see nobody's. */
  #userOf({ userId }: UsageFilter): string | undefined {
    const { principal } = this.#scope;
    // Days are not kept by session.
    if (principal.unrestricted) return userId ?? "";
    if (principal.sessionId !== undefined) return undefined;
    return userId === undefined || userId === principal.userId ? principal.userId : undefined;
  }
}

function tokensOf(row: TokenUsage): TokenUsage {
  return {
    input_tokens: row.input_tokens,
    output_tokens: row.output_tokens,
    total_tokens: row.total_tokens,
    reasoning_tokens: row.reasoning_tokens,
    cache_read_tokens: row.cache_read_tokens,
    cache_write_tokens: row.cache_write_tokens,
  };
}

function byDay<TRow extends { day: string }, T>(
  rows: readonly TRow[],
  of: (row: TRow) => T,
): Map<string, T[]> {
  const days = new Map<string, T[]>();
  for (const row of rows) {
    const day = days.get(row.day);
    if (day) day.push(of(row));
    else days.set(row.day, [of(row)]);
  }
  return days;
}
