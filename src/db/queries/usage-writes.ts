import { type Kysely, type SelectQueryBuilder, sql } from "kysely";
import { discardedTokens } from "../../events/discarded.ts";
import { noTokens, type RunMetrics, type TokenUsage } from "../../events/metrics.ts";
import type { Engine } from "../engine.ts";
import { histogramOf, histogramText } from "../histogram.ts";
import type { Tables } from "../schema.ts";
import { addLatency, type DaySum, type EndedRun, type ModelSum, UsageCount } from "../usage-count.ts";
import { storedLog } from "./stored-log.ts";

/** Sessions by their ids, or as a query for these. */
export type Sessions = readonly string[] | SelectQueryBuilder<Tables, "sessions", { session_id: string }>;

/** Rows of one statement. */
const rowsAtOnce = 100;

const kinds = Object.keys(noTokens()) as (keyof TokenUsage)[];

/** Runs that are counted at a time where all of some sessions are. */
const runsAtOnce = 200;

/** Gives metrics their cost. */
type Price = (metrics: RunMetrics) => RunMetrics;

/** Counts ended runs that were not counted yet, in one transaction. */
export function countRuns(
  engine: Pick<Engine, "transaction" | "locked">,
  atOnce: number,
  price: Price,
): Promise<{ runs: number; days: string[] }> {
  return engine.transaction(async (db) => {
    await holdUsage(engine, db);
    return count(db, unmetered(db).limit(atOnce), price);
  });
}

/**
 * Has nobody else count until the transaction ends, on whatever node: what another has counted is seen from here on. Whoever
 * counts holds this before any run or session, else two would wait for each other.
 */
export async function holdUsage(engine: Pick<Engine, "locked">, db: Kysely<Tables>): Promise<void> {
  await engine.locked(db.selectFrom("metric_refreshes").select("id").where("id", "=", 1)).execute();
}

/**
 * Counts the ended runs of sessions that were not counted yet, for they are about to be deleted. The usage must be held. A run
 * that ended without a cost has none here: nobody in the database knows a price.
 */
export async function countRunsOf(db: Kysely<Tables>, sessions: Sessions): Promise<void> {
  const some = unmetered(db).where("session_id", "in", sessions).limit(runsAtOnce);
  while ((await count(db, some, (metrics) => metrics)).runs === runsAtOnce);
}

function unmetered(db: Kysely<Tables>) {
  return db
    .selectFrom("runs")
    .select(["run_id", "session_id", "user_id", "agent_id", "status", "started_at", "created_at"])
    .select(["model", "model_provider", "attempt", "metrics", "cost"])
    .where(sql.ref("metered"), "=", sql.lit(0))
    .where("ended_at", "is not", null)
    .orderBy("run_id");
}

async function count(
  db: Kysely<Tables>,
  some: ReturnType<typeof unmetered>,
  price: Price,
): Promise<{ runs: number; days: string[] }> {
  const rows = await some.execute();
  if (rows.length === 0) return { runs: 0, days: [] };
  const cutOff = rows.filter((row) => row.attempt > 1).map((row) => row.run_id);
  const discarded = await discardedOf(db, cutOff);
  const sums = new UsageCount();
  for (const row of rows) {
    const metrics = { ...noTokens(), ...(JSON.parse(row.metrics) as RunMetrics) };
    const run: EndedRun = {
      sessionId: row.session_id,
      userId: row.user_id ?? "",
      agentId: row.agent_id,
      status: row.status,
      startedAt: row.started_at ?? row.created_at,
      model: row.model,
      modelProvider: row.model_provider,
      metrics: row.cost === null ? price(metrics) : metrics,
      discardedTokens: discarded.get(row.run_id) ?? 0,
    };
    sums.add(run);
  }
  await write(db, sums);
  await db
    .updateTable("runs")
    .set({ metered: 1 })
    .where(
      "run_id",
      "in",
      rows.map((row) => row.run_id),
    )
    .execute();
  return { runs: rows.length, days: [...new Set([...sums.days.values()].map(({ day }) => day))] };
}

/** What the turns of runs used that were cut off and done again. */
async function discardedOf(db: Kysely<Tables>, runIds: readonly string[]): Promise<Map<string, number>> {
  const tokens = new Map<string, number>();
  for (const runId of runIds) {
    tokens.set(runId, discardedTokens(await storedLog(db, runId)));
  }
  return tokens;
}

async function write(db: Kysely<Tables>, count: UsageCount): Promise<void> {
  const newSessions = await addSessions(db, [...count.sessions.values()]);
  const days = [...count.days.values()];
  const newUsers = await usersOf(db, days);
  const at = Date.now();
  for (const some of parts(days)) {
    const rows = some.map((sum) => ({
      day: sum.day,
      user_id: sum.userId,
      runs: sum.runs,
      failed_runs: sum.failedRuns,
      cancelled_runs: sum.cancelledRuns,
      sessions: newSessions.get(`${sum.day} ${sum.userId}`) ?? 0,
      users: newUsers.get(`${sum.day} ${sum.userId}`) ?? 0,
      discarded_tokens: sum.discardedTokens,
      cost: sum.cost,
      unpriced_runs: sum.unpricedRuns,
      created_at: at,
      updated_at: at,
      ...sum.tokens,
    }));
    await db
      .insertInto("metric_days")
      .values(rows)
      .onConflict((conflict) =>
        conflict.columns(["user_id", "day"]).doUpdateSet({
          ...added("metric_days", [
            ...kinds,
            "runs",
            "failed_runs",
            "cancelled_runs",
            "sessions",
            "users",
            "discarded_tokens",
            "unpriced_runs",
          ]),
          cost: addedCost("metric_days"),
          updated_at: at,
        }),
      )
      .execute();
  }
  await addModels(db, [...count.models.values()]);
  await addLatencies(db, count);
}

async function addModels(db: Kysely<Tables>, models: readonly ModelSum[]): Promise<void> {
  for (const some of parts(models)) {
    const rows = some.map((sum) => ({
      day: sum.day,
      user_id: sum.userId,
      model_id: sum.modelId,
      model_provider: sum.modelProvider,
      runs: sum.runs,
      cost: sum.cost,
      unpriced_runs: sum.unpricedRuns,
      ...sum.tokens,
    }));
    await db
      .insertInto("metric_models")
      .values(rows)
      .onConflict((conflict) =>
        conflict.columns(["user_id", "day", "model_id", "model_provider"]).doUpdateSet({
          ...added("metric_models", [...kinds, "runs", "unpriced_runs"]),
          cost: addedCost("metric_models"),
        }),
      )
      .execute();
  }
}

async function addLatencies(db: Kysely<Tables>, { latencies }: UsageCount): Promise<void> {
  for (const sum of latencies.values()) {
    const before = await db
      .selectFrom("metric_latencies")
      .select(["durations", "first_tokens"])
      .where("day", "=", sum.day)
      .where("agent_id", "=", sum.agentId)
      .where("model_id", "=", sum.modelId)
      .where("model_provider", "=", sum.modelProvider)
      .executeTakeFirst();
    const all = before
      ? { durations: histogramOf(before.durations), firstTokens: histogramOf(before.first_tokens) }
      : { durations: new Map(), firstTokens: new Map() };
    addLatency(all, sum);
    const texts = {
      durations: histogramText(all.durations),
      first_tokens: histogramText(all.firstTokens),
    };
    const key = {
      day: sum.day,
      agent_id: sum.agentId,
      model_id: sum.modelId,
      model_provider: sum.modelProvider,
    };
    await db
      .insertInto("metric_latencies")
      .values({ ...key, ...texts })
      .onConflict((conflict) =>
        conflict.columns(["day", "agent_id", "model_id", "model_provider"]).doUpdateSet(texts),
      )
      .execute();
  }
}

/** Notes sessions. @returns how many are new, by day and user */
async function addSessions(
  db: Kysely<Tables>,
  sessions: readonly { user_id: string; day: string; session_id: string }[],
): Promise<Map<string, number>> {
  const fresh = new Map<string, number>();
  for (const some of parts(sessions)) {
    const rows = await db
      .insertInto("metric_sessions")
      .values([...some])
      .onConflict((conflict) => conflict.doNothing())
      .returning(["user_id", "day"])
      .execute();
    for (const { day, user_id } of rows) {
      const key = `${day} ${user_id}`;
      fresh.set(key, (fresh.get(key) ?? 0) + 1);
    }
  }
  return fresh;
}

/** How many users are new to a day, for each of its sums: to that of all users, those without a row; to their own, one. */
async function usersOf(db: Kysely<Tables>, days: readonly DaySum[]): Promise<Map<string, number>> {
  const fresh = new Map<string, number>();
  for (const some of parts(days.filter(({ userId }) => userId !== ""))) {
    const known = await db
      .selectFrom("metric_days")
      .select(["day", "user_id"])
      .where((eb) =>
        eb.or(some.map(({ day, userId }) => eb.and([eb("day", "=", day), eb("user_id", "=", userId)]))),
      )
      .execute();
    const before = new Set(known.map(({ day, user_id }) => `${day} ${user_id}`));
    for (const { day, userId } of some) {
      if (before.has(`${day} ${userId}`)) continue;
      fresh.set(`${day} ${userId}`, 1);
      fresh.set(`${day} `, (fresh.get(`${day} `) ?? 0) + 1);
    }
  }
  return fresh;
}

/** Columns that grow by what is inserted. */
function added<K extends string>(table: "metric_days" | "metric_models", columns: readonly K[]) {
  const sums = columns.map((column) => [
    column,
    sql<number>`${sql.ref(`${table}.${column}`)} + ${sql.ref(`excluded.${column}`)}`,
  ]);
  return Object.fromEntries(sums) as Record<K, ReturnType<typeof sql<number>>>;
}

/** What is known of a cost, where anything is. */
function addedCost(table: "metric_days" | "metric_models") {
  const [before, more] = [sql.ref(`${table}.cost`), sql.ref("excluded.cost")];
  return sql<
    number | null
  >`CASE WHEN ${before} IS NULL THEN ${more} WHEN ${more} IS NULL THEN ${before} ELSE ${before} + ${more} END`;
}

function parts<T>(rows: readonly T[]): (readonly T[])[] {
  const all: (readonly T[])[] = [];
  for (let i = 0; i < rows.length; i += rowsAtOnce) all.push(rows.slice(i, i + rowsAtOnce));
  return all;
}
