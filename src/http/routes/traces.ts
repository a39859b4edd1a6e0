import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { mostTracesCounted as mostCounted } from "../../db/stores/traces.ts";
import type { TraceFilter } from "../../db/traces.ts";
import { NotFoundError } from "../../errors.ts";
import { dbIdQuery, refuseOtherDatabase } from "../database-id.ts";
import { jsonResponse } from "../describe.ts";
import { tracesFor } from "../hide-prompts.ts";
import { identifier, optionalIdentifier } from "../identifiers.ts";
import { jsonBody, withJsonBody } from "../json-body.ts";
import { pagedSchema, pageMeta, pageQuery } from "../paging.ts";
import { presentSessionTraces, presentSpan, presentTrace, presentTraceDetail } from "../present-traces.ts";
import { principalOf, type Served, storeOf, userOf } from "../served.ts";
import { filterSchema, readFilter, traceListQuery, traceSearchBody, traceStatus } from "../trace-fields.ts";
import {
  filterSchemaSchema,
  foundTracesSchema,
  sessionTracesPageSchema,
  traceOrSpanSchema,
  traceSchema,
} from "../trace-schemas.ts";

const tags = ["Traces"];

const listTraces = createRoute({
  method: "get",
  path: "/traces",
  operationId: "list_traces",
  summary: "List traces, the newest first",
  description: "One entry a run. A trace is there about a second after its run has ended.",
  tags,
  request: {
    query: z.object({
      run_id: optionalIdentifier,
      ...traceListQuery,
      status: traceStatus,
      ...pageQuery,
      ...dbIdQuery,
    }),
  },
  responses: jsonResponse("A page of traces.", pagedSchema(traceSchema, "TracePage"), 404, 422, 503),
});

const getFilterSchema = createRoute({
  method: "get",
  path: "/traces/filter-schema",
  operationId: "get_trace_filter_schema",
  summary: "What a search of traces can ask for",
  tags,
  request: { query: z.object(dbIdQuery) },
  responses: jsonResponse("Fields and operators.", filterSchemaSchema, 404, 422),
});

const getTrace = createRoute({
  method: "get",
  path: "/traces/{trace_id}",
  operationId: "get_trace",
  summary: "Get a trace as a tree, or one of its spans",
  description:
    "Several runs share a trace where the same span of the caller is above them; `run_id` picks one of them.",
  tags,
  request: {
    params: z.object({ trace_id: identifier }),
    query: z.object({ span_id: optionalIdentifier, run_id: optionalIdentifier, ...dbIdQuery }),
  },
  responses: jsonResponse("The trace; with `span_id` the span.", traceOrSpanSchema, 404, 422, 503),
});

const sessionStats = createRoute({
  method: "get",
  path: "/trace_session_stats",
  operationId: "list_trace_session_stats",
  summary: "Traces by session, the last used first",
  description: "Sessions of the newest 10,000 traces; earlier ones are found with `end_time`.",
  tags,
  request: { query: z.object({ ...traceListQuery, ...pageQuery, ...dbIdQuery }) },
  responses: jsonResponse("A page of sessions.", sessionTracesPageSchema, 404, 422, 503),
});

const searchTraces = createRoute({
  method: "post",
  path: "/traces/search",
  operationId: "search_traces",
  summary: "Search traces by a filter",
  description:
    "`{op, key, value}` with EQ, NEQ, GT, GTE, LT, LTE, CONTAINS or STARTSWITH; `{op: IN, key, values}`; " +
    "`{op: AND | OR, conditions}`; `{op: NOT, condition}`. An unknown field or operator is 400.",
  tags,
  request: { query: z.object(dbIdQuery) },
  responses: jsonResponse(
    "A page of traces with their trees, or of sessions.",
    foundTracesSchema,
    400,
    404,
    413,
    415,
    422,
    503,
  ),
});

/** Traces of runs: listing, reading and searching them. */
export function traceRoutes(app: OpenAPIHono, served: Served): void {
  app.openapi(listTraces, async (c): Promise<Response> => {
    const since = performance.now();
    const query = c.req.valid("query");
    refuseOtherDatabase(served, query.db_id);
    const { page, limit } = query;
    const store = await storeOf(served, c, query.user_id);
    const filter: TraceFilter = {
      ...filterOf(c, query),
      ...(query.run_id !== undefined && { runId: query.run_id }),
      ...(query.status !== undefined && { status: query.status }),
    };
    const { traces, total } = isOfNone(query)
      ? { traces: [], total: 0 }
      : await store.traces.list(filter, { limit, offset: (page - 1) * limit });
    return c.json({
      data: traces.map(presentTrace),
      meta: pageMeta({ page, limit, total, mostCounted, since }),
    });
  });

  app.openapi(getFilterSchema, (c): Response => {
    refuseOtherDatabase(served, c.req.valid("query").db_id);
    return c.json(filterSchema());
  });

  app.openapi(getTrace, async (c): Promise<Response> => {
    const { span_id, run_id, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const store = await storeOf(served, c);
    const { trace_id } = c.req.valid("param");
    const found = await (span_id === undefined
      ? store.traces.get(trace_id, run_id)
      : store.traces.getWithSpan(trace_id, span_id, run_id));
    const runs = tracesFor(found, principalOf(c));
    if (runs.length === 0) throw new NotFoundError("Trace not found");
    if (span_id === undefined) return c.json(presentTraceDetail(runs));
    const span = presentSpan(runs, span_id);
    if (!span) throw new NotFoundError("Span not found");
    return c.json(span);
  });

  app.openapi(sessionStats, async (c): Promise<Response> => {
    const since = performance.now();
    const query = c.req.valid("query");
    refuseOtherDatabase(served, query.db_id);
    const { page, limit } = query;
    const store = await storeOf(served, c, query.user_id);
    const { sessions, total, isCapped } = isOfNone(query)
      ? { sessions: [], total: 0, isCapped: false }
      : await store.traces.sessions(filterOf(c, query), { limit, offset: (page - 1) * limit });
    return c.json({
      data: sessions.map(presentSessionTraces),
      meta: pageMeta({ page, limit, total, mostCounted, isCapped, since }),
    });
  });

  app.openapi(withJsonBody(app, searchTraces, traceSearchBody), async (c): Promise<Response> => {
    const since = performance.now();
    refuseOtherDatabase(served, c.req.valid("query").db_id);
    const { filter, group_by, page, limit } = await jsonBody(c, served, traceSearchBody);
    const expression = filter ? readFilter(filter) : undefined;
    const store = await storeOf(served, c);
    const own = filterOf(c, {});
    const part = { limit, offset: (page - 1) * limit };
    if (group_by === "session") {
      const { sessions, total, isCapped } = await store.traces.sessions(own, part, expression);
      return c.json({
        data: sessions.map(presentSessionTraces),
        meta: pageMeta({ page, limit, total, mostCounted, isCapped, since }),
      });
    }
    const { traces, total } = await store.traces.listWithSpans(own, part, expression);
    return c.json({
      data: tracesFor(traces, principalOf(c)).map((trace) => presentTraceDetail([trace])),
      meta: pageMeta({ page, limit, total, mostCounted, since }),
    });
  });
}

interface Given {
  session_id?: string | undefined;
  user_id?: string | undefined;
  agent_id?: string | undefined;
  start_time?: number | undefined;
  end_time?: number | undefined;
}

function filterOf(c: Context, given: Given): TraceFilter {
  const userId = userOf(c, given.user_id);
  return {
    ...(given.session_id !== undefined && { sessionId: given.session_id }),
    ...(userId !== undefined && { userId }),
    ...(given.agent_id !== undefined && { agentId: given.agent_id }),
    ...(given.start_time !== undefined && { from: given.start_time }),
    ...(given.end_time !== undefined && { until: given.end_time }),
  };
}

/** Whether something is asked for of which there are no runs. */
function isOfNone(query: { team_id?: string | undefined; workflow_id?: string | undefined }): boolean {
  return query.team_id !== undefined || query.workflow_id !== undefined;
}
