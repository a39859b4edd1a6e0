import type { JsonValue } from "../events/json.ts";
import type {
  SessionTracesPage,
  TraceDetail,
  TraceDetailPage,
  TraceFilterSchema,
  TracePage,
  TraceSpan,
} from "./answers.ts";
import type { CallOptions } from "./options.ts";
import type { PageOptions } from "./page.ts";
import type { Transport } from "./transport.ts";
import { onWire } from "./wire-names.ts";

/** Which traces are meant. */
export interface TraceStatsOptions extends PageOptions {
  sessionId?: string;
  userId?: string;
  agentId?: string;
  /** ISO 8601: those that began then or later. */
  startTime?: string;
  /** ISO 8601: those that ended then or before. */
  endTime?: string;
}

/** Which traces a list holds. */
export interface TraceListOptions extends TraceStatsOptions {
  runId?: string;
  status?: "OK" | "ERROR";
}

/** A condition on traces, or several. `filterSchema` tells the keys and what each can be compared by. */
export type TraceFilter =
  | {
      op: "EQ" | "NEQ" | "GT" | "GTE" | "LT" | "LTE" | "CONTAINS" | "STARTSWITH";
      key: string;
      value: JsonValue;
    }
  | { op: "IN"; key: string; values: readonly JsonValue[] }
  | { op: "AND" | "OR"; conditions: readonly TraceFilter[] }
  | { op: "NOT"; condition: TraceFilter };

/** What was done in each run: a trace is there about a second after its run has ended. */
export class Traces {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** A page of traces, the newest first. */
  list({ signal, ...query }: TraceListOptions = {}): Promise<TracePage> {
    return this.#transport.json({ method: "GET", path: ["traces"], query, signal });
  }

  /**
   * A trace as a tree of spans.
   *
   * @param options - `runId`: picks one run where several share a trace
   */
  get(traceId: string, { signal, ...query }: CallOptions & { runId?: string } = {}): Promise<TraceDetail> {
    return this.#transport.json({ method: "GET", path: ["traces", traceId], query, signal });
  }

  /** One span of a trace, with its attributes and events. */
  span(
    traceId: string,
    spanId: string,
    { signal, ...query }: CallOptions & { runId?: string } = {},
  ): Promise<TraceSpan> {
    const path = ["traces", traceId];
    return this.#transport.json({ method: "GET", path, query: { spanId, ...query }, signal });
  }

  /** Traces that a filter lets through, with their trees. @throws {ApiError} 400 for an unknown key or operator */
  search(filter: TraceFilter | undefined, options: PageOptions = {}): Promise<TraceDetailPage> {
    return this.#search(filter, "run", options);
  }

  /** The sessions of traces that a filter lets through. */
  searchSessions(filter: TraceFilter | undefined, options: PageOptions = {}): Promise<SessionTracesPage> {
    return this.#search(filter, "session", options);
  }

  /** What a search can ask for. */
  filterSchema({ signal }: CallOptions = {}): Promise<TraceFilterSchema> {
    return this.#transport.json({ method: "GET", path: ["traces", "filter-schema"], signal });
  }

  /** Traces by session, the last used first. */
  sessionStats({ signal, ...query }: TraceStatsOptions = {}): Promise<SessionTracesPage> {
    return this.#transport.json({ method: "GET", path: ["trace_session_stats"], query, signal });
  }

  #search<T>(
    filter: TraceFilter | undefined,
    groupBy: "run" | "session",
    { signal, ...part }: PageOptions,
  ): Promise<T> {
    const body = onWire({ filter, groupBy, ...part });
    return this.#transport.json({
      method: "POST",
      path: ["traces", "search"],
      body,
      signal,
      repeatable: true,
    });
  }
}
