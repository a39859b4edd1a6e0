import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { dbIdQuery, refuseOtherDatabase } from "../database-id.ts";
import { errorResponses, jsonResponse } from "../describe.ts";
import { optionalIdentifier } from "../identifiers.ts";
import { measured } from "../measured.ts";
import {
  dayMetricsSchema,
  metricDaysQuery,
  presentDay,
  presentRefresh,
  refreshStatusSchema,
} from "../metric-fields.ts";
import { type Served, storeOf, userOf } from "../served.ts";

const tags = ["Metrics"];

/** Milliseconds after which whoever reads the metrics has them refreshed, for the next one. */
const stale = 60_000;

const getMetrics = createRoute({
  method: "get",
  path: "/metrics",
  operationId: "get_metrics",
  summary: "What was used by day",
  description:
    "One entry a day with runs, in UTC, by the time at which they started. Runs that just ended come with the next refresh.",
  tags,
  request: {
    query: z.object({ ...metricDaysQuery, user_id: optionalIdentifier, ...dbIdQuery }),
  },
  responses: jsonResponse(
    "The days.",
    z
      .object({
        metrics: z.array(dayMetricsSchema),
        updated_at: z.string().nullable().openapi({ format: "date-time" }),
      })
      .openapi("Metrics", { example: { metrics: [], updated_at: "2026-11-24T05:07:59.625Z" } }),
    404,
    422,
    503,
  ),
});

const begun: ReturnType<typeof errorResponses> = {
  202: {
    description: "It has begun, or was under way.",
    content: {
      "application/json": {
        schema: z
          .object({ status: z.enum(["started", "already_running"]), message: z.string() })
          .openapi({ example: { status: "started", message: "Metrics refresh started in background" } }),
      },
    },
  },
};

const refreshMetrics = createRoute({
  method: "post",
  path: "/metrics/refresh",
  operationId: "refresh_metrics",
  summary: "Count the runs that ended since the last refresh",
  description: "Answers today and the days that changed; with `background` at once.",
  tags,
  request: {
    query: z.object({
      user_id: optionalIdentifier.openapi({ description: "Whose days are answered." }),
      background: z.stringbool().default(false).openapi({ type: "boolean", default: false }),
      ...dbIdQuery,
    }),
  },
  responses: {
    ...jsonResponse("The days.", z.array(dayMetricsSchema), 404, 422, 503),
    ...begun,
  },
});

const getRefreshStatus = createRoute({
  method: "get",
  path: "/metrics/refresh/status",
  operationId: "get_metrics_refresh_status",
  summary: "How the last refresh went",
  tags,
  request: { query: z.object(dbIdQuery) },
  responses: jsonResponse("Its status.", refreshStatusSchema, 404, 422, 503),
});

const getPrometheus = createRoute({
  method: "get",
  path: "/metrics/prometheus",
  operationId: "get_prometheus_metrics",
  summary: "This server in the text format of Prometheus",
  description:
    "With `Accept: application/openmetrics-text` in that of OpenMetrics. Workers on one port are told apart by the label `worker`.",
  tags,
  responses: {
    200: {
      description: "The metrics.",
      content: {
        "text/plain": { schema: z.string().openapi({ example: "agentos_runs_active 3\n" }) },
        "application/openmetrics-text": {
          schema: z.string().openapi({ example: "agentos_runs_active 3\n# EOF\n" }),
        },
      },
    },
    ...errorResponses(),
  },
});

/** What was used, by day, and what this process is doing. */
export function metricRoutes(app: OpenAPIHono, served: Served): void {
  const { telemetry } = served;
  const { usage } = telemetry;

  app.openapi(getMetrics, async (c): Promise<Response> => {
    const { starting_date, ending_date, user_id, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const store = await storeOf(served, c, user_id);
    const userId = userOf(c, user_id);
    const days = await store.usage.days({
      ...(starting_date !== undefined && { from: starting_date }),
      ...(ending_date !== undefined && { until: ending_date }),
      ...(userId !== undefined && { userId }),
    });
    const { finishedAt = 0 } = await served.db.usage().status();
    if (Date.now() - finishedAt > stale) usage.inBackground();
    const updated = Math.max(finishedAt, ...days.map(({ updatedAt }) => updatedAt));
    return c.json({
      metrics: days.map(presentDay),
      updated_at: updated === 0 ? null : new Date(updated).toISOString(),
    });
  });

  app.openapi(refreshMetrics, async (c): Promise<Response> => {
    const { user_id, background, db_id } = c.req.valid("query");
    refuseOtherDatabase(served, db_id);
    const store = await storeOf(served, c, user_id);
    if (background) {
      const { status } = await served.db.usage().status();
      if (usage.isRunning || status === "running") {
        return c.json({ status: "already_running", message: "Metrics refresh is under way already" }, 202);
      }
      usage.inBackground();
      return c.json({ status: "started", message: "Metrics refresh started in background" }, 202);
    }
    const changed = await usage.refresh();
    changed.add(new Date().toISOString().slice(0, 10));
    const [from, until] = [[...changed].sort().at(0)!, [...changed].sort().at(-1)!];
    const userId = userOf(c, user_id);
    const days = await store.usage.days({ from, until, ...(userId !== undefined && { userId }) });
    return c.json(days.filter(({ day }) => changed.has(day)).map(presentDay));
  });

  app.openapi(getRefreshStatus, async (c): Promise<Response> => {
    refuseOtherDatabase(served, c.req.valid("query").db_id);
    await served.db.open();
    return c.json(presentRefresh(await served.db.usage().status()));
  });

  app.openapi(getPrometheus, async (c): Promise<Response> => {
    const openMetrics = c.req.header("accept")?.includes("application/openmetrics-text") === true;
    const [own, others] = await Promise.all([measured(served), served.otherWorkers()]);
    const { type, text } = await telemetry.metricsText([own, ...others], openMetrics);
    return c.body(text, 200, { "content-type": type });
  });
}
