import { type ExpressionBuilder, sql } from "kysely";
import type { Engine } from "../engine.ts";
import { matching, ofSessions, ofTrace, traceColumns, traceOf, wantedTraces } from "../queries/traces.ts";
import type { Tables } from "../schema.ts";
import type {
  SessionTraces,
  StoredSpan,
  StoredTrace,
  TraceDetail,
  TraceExpression,
  TraceFilter,
} from "../traces.ts";
import type { Scope } from "./scope.ts";

/** Entries that are counted at most: the count of a longer list stays there. */
export const mostTracesCounted = 10_000;

/** Runs that one trace shows. */
const mostRuns = 200;

/** Bytes of spans in one answer. A single run may have more. */
const mostBytes = 8 * 1024 * 1024;

/** How large the spans of a trace are. Neither engine reads them for it. */
const size = sql<number>`CAST(octet_length(spans) AS integer)`.as("bytes");

type Row = Parameters<typeof traceOf>[0];

/** A part of a list. */
interface Part {
  limit: number;
  offset: number;
}

/** Traces. A confined principal only ever sees those of its own user's runs. */
export class TraceStore {
  readonly #engine: Engine;
  readonly #scope: Scope;

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine;
    this.#scope = scope;
  }

  /** Traces, the newest first, and how many there are in all: no more than {@link mostTracesCounted} and one. */
  async list(
    filter: TraceFilter,
    part: Part,
    expression?: TraceExpression,
  ): Promise<{ traces: StoredTrace[]; total: number }> {
    const rows = await this.#wanted(filter, expression)
      .select(traceColumns)
      .orderBy("start_time", "desc")
      .orderBy("run_id", "desc")
      .limit(part.limit)
      .offset(part.offset)
      .execute();
    return { traces: rows.map(traceOf), total: await this.#count(rows.length, part, filter, expression) };
  }

  /** The same with the spans of each, the first ones that fit. */
  async listWithSpans(
    filter: TraceFilter,
    part: Part,
    expression?: TraceExpression,
  ): Promise<{ traces: TraceDetail[]; total: number }> {
    const rows = await this.#wanted(filter, expression)
      .select([...traceColumns, size])
      .orderBy("start_time", "desc")
      .orderBy("run_id", "desc")
      .limit(part.limit)
      .offset(part.offset)
      .execute();
    return {
      traces: await this.#withSpans(rows),
      total: await this.#count(rows.length, part, filter, expression),
    };
  }

  /** The runs of a trace in the order in which they began, with the spans that fit; none where the principal has no such. */
  async get(traceId: string, runId?: string): Promise<TraceDetail[]> {
    return this.#withSpans(await this.#runsOf(traceId, runId));
  }

  /** The same, but only the run that has a span has its spans. */
  async getWithSpan(traceId: string, spanId: string, runId?: string): Promise<TraceDetail[]> {
    const rows = await this.#runsOf(traceId, runId);
    for (const row of rows) {
      const [run] = await this.#withSpans([row]);
      if (run!.spans.some(({ span_id }) => span_id === spanId)) return [run!];
    }
    return rows.map(detailOf);
  }

  #runsOf(traceId: string, runId?: string) {
    let query = this.#wanted(runId === undefined ? {} : { runId })
      .select([...traceColumns, size])
      .where((eb) => ofTrace(eb, traceId))
      .orderBy("start_time")
      .orderBy("run_id")
      .limit(mostRuns);
    if (runId !== undefined) query = query.where("run_id", "=", runId);
    return query.execute();
  }

  /** Reads the spans of traces, up to the first that does not fit. */
  async #withSpans(rows: readonly (Row & { bytes: number })[]): Promise<TraceDetail[]> {
    if (rows.length === 0) return [];
    const read = rows.slice(0, 1);
    let bytes = rows[0]!.bytes;
    for (const row of rows.slice(1)) {
      bytes += row.bytes;
      if (bytes > mostBytes) break;
      read.push(row);
    }
    // All of it again: it may have been added to meanwhile, and its spans must be those that it tells of.
    const found = await this.#engine.db
      .selectFrom("traces")
      .select([...traceColumns, "spans"])
      .where((eb) =>
        eb.or(
          read.map(({ run_id, trace_id }) =>
            eb.and([eb("run_id", "=", run_id), eb("trace_id", "=", trace_id)]),
          ),
        ),
      )
      .execute();
    const whole = new Map(found.map((row) => [`${row.run_id} ${row.trace_id}`, row]));
    return rows.map((row) => detailOf(whole.get(`${row.run_id} ${row.trace_id}`) ?? row));
  }

  /**
   * Sessions with what their traces come to, the last used first. They are those of the newest {@link mostTracesCounted} traces
   * that are wanted: to look at all would take the longer the more there are.
   */
  async sessions(
    filter: TraceFilter,
    part: Part,
    expression?: TraceExpression,
  ): Promise<{ sessions: SessionTraces[]; total: number; isCapped: boolean }> {
    const newest = this.#wanted(filter, expression)
      .select(["session_id", "start_time"])
      .orderBy("start_time", "desc")
      .limit(mostTracesCounted);
    const used = this.#engine.db
      .selectFrom(newest.as("newest"))
      .select("session_id")
      .select((eb) => [
        eb.fn.max("start_time").as("last_at"),
        sql<number>`CAST(count(*) OVER () AS integer)`.as("sessions"),
        sql<number>`CAST(sum(count(*)) OVER () AS integer)`.as("looked_at"),
      ])
      .groupBy("session_id");
    const page = await used
      .orderBy("last_at", "desc")
      .orderBy("session_id", "desc")
      .limit(part.limit)
      .offset(part.offset)
      .execute();
    const [count] = page.length > 0 || part.offset === 0 ? page : await used.limit(1).execute();
    return {
      sessions: await this.#sumsOf(
        page.map((row) => row.session_id),
        filter,
        expression,
      ),
      total: count?.sessions ?? 0,
      isCapped: count?.looked_at === mostTracesCounted,
    };
  }

  /** What all wanted traces of sessions come to, in the order in which the sessions are named. */
  async #sumsOf(
    sessionIds: readonly string[],
    filter: TraceFilter,
    expression?: TraceExpression,
  ): Promise<SessionTraces[]> {
    if (sessionIds.length === 0) return [];
    const rows = await this.#wanted(filter, expression)
      .where((eb) => ofSessions(eb, sessionIds))
      .select("session_id")
      .select((eb) => [
        eb.fn.max("user_id").as("user_id"),
        eb.fn.max("agent_id").as("agent_id"),
        eb.fn.min("start_time").as("first_at"),
        eb.fn.max("start_time").as("last_at"),
        sql<number>`CAST(count(*) AS integer)`.as("total"),
      ])
      .groupBy("session_id")
      .execute();
    const sums = new Map(rows.map((row) => [row.session_id, row]));
    // One may have been deleted in between.
    return sessionIds
      .map((id) => sums.get(id))
      .filter((row) => row !== undefined)
      .map((row) => ({
        sessionId: row.session_id,
        userId: row.user_id ?? undefined,
        agentId: row.agent_id,
        total: row.total,
        firstAt: row.first_at,
        lastAt: row.last_at,
      }));
  }

  #wanted(filter: TraceFilter, expression?: TraceExpression) {
    const query = this.#engine.db
      .selectFrom("traces")
      .where((eb: ExpressionBuilder<Tables, "traces">) => wantedTraces(eb, this.#scope, filter));
    return expression ? query.where((eb) => matching(eb, expression)) : query;
  }

  async #count(
    found: number,
    { limit, offset }: Part,
    filter: TraceFilter,
    expression?: TraceExpression,
  ): Promise<number> {
    // On the last page there is nothing to count.
    if (found < limit && (found > 0 || offset === 0)) return offset + found;
    const some = this.#wanted(filter, expression)
      .select(sql.lit(1).as("one"))
      .limit(mostTracesCounted + 1);
    const row = await this.#engine.db.selectFrom(some.as("some")).select(counted).executeTakeFirst();
    return row?.total ?? 0;
  }
}

const counted = sql<number>`CAST(count(*) AS integer)`.as("total");

function detailOf(row: Row & { spans?: string }): TraceDetail {
  if (row.spans === undefined) return { ...traceOf(row), spans: [], leftOut: row.total_spans };
  // A write whose answer was lost may have been made twice.
  const spans = new Map((JSON.parse(row.spans) as StoredSpan[]).map((span) => [span.span_id, span]));
  return { ...traceOf(row), spans: [...spans.values()].sort((a, b) => a.start - b.start), leftOut: 0 };
}
