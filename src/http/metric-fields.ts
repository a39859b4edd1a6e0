import { z } from "@hono/zod-openapi";
import type { RefreshStatus, UsageDay } from "../db/usage.ts";
import type { TokenUsage } from "../events/metrics.ts";
import { tokenFields } from "./schemas.ts";
import { timeOf } from "./trace-fields.ts";

const day = z
  .string()
  .transform((text, context) => {
    if (text === "") return undefined;
    const time = timeOf(text);
    if (time !== undefined) return new Date(time).toISOString().slice(0, 10);
    context.addIssue({ code: "custom", message: "Not a date: write 2026-11-24" });
    return z.NEVER;
  })
  .optional()
  .openapi({ type: "string", format: "date" });

/** Which days are asked for, both included. */
export const metricDaysQuery = {
  starting_date: day.openapi({ description: "The first day, in UTC." }),
  ending_date: day.openapi({ description: "The last day." }),
};

const cost = z.number().nullable().openapi({
  description: "In the currency of the server's prices; null where nothing of it has a price.",
});
const quantiles = z
  .object({ p50: z.number(), p95: z.number() })
  .nullable()
  .openapi({ description: "Seconds, 2.5 % off at most." });

const tokenMetrics = z.object({
  ...tokenFields,
  audio_total_tokens: z.int(),
  audio_input_tokens: z.int(),
  audio_output_tokens: z.int(),
  discarded_tokens: z.int().openapi({
    description: "Output that was lost with its process and made again, estimated; no part of the others.",
  }),
});

/** What was used in one day. */
export const dayMetricsSchema = z
  .object({
    id: z.string(),
    agent_runs_count: z.int().openapi({ description: "All of them, failed and cancelled ones too." }),
    failed_runs_count: z.int(),
    cancelled_runs_count: z.int(),
    agent_sessions_count: z.int(),
    team_runs_count: z.int(),
    team_sessions_count: z.int(),
    workflow_runs_count: z.int(),
    workflow_sessions_count: z.int(),
    users_count: z.int(),
    token_metrics: tokenMetrics,
    cost,
    unpriced_runs_count: z.int().openapi({ description: "Runs that `cost` knows nothing of." }),
    model_metrics: z.array(
      z.object({
        model_id: z.string(),
        model_provider: z.string(),
        count: z.int(),
        ...tokenFields,
        cost,
        unpriced_runs_count: z.int(),
      }),
    ),
    latency_metrics: z
      .array(
        z.object({
          agent_id: z.string(),
          model_id: z.string(),
          model_provider: z.string(),
          count: z.int(),
          duration: quantiles,
          time_to_first_token: quantiles,
        }),
      )
      .openapi({ description: "Of all users together: empty where one user is asked for." }),
    date: z.string().openapi({ format: "date-time" }),
    created_at: z.string().openapi({ format: "date-time" }),
    updated_at: z.string().openapi({ format: "date-time" }),
  })
  .openapi("DayMetrics", {
    example: {
      id: "2026-11-24_daily",
      agent_runs_count: 420,
      failed_runs_count: 3,
      cancelled_runs_count: 1,
      agent_sessions_count: 98,
      team_runs_count: 0,
      team_sessions_count: 0,
      workflow_runs_count: 0,
      workflow_sessions_count: 0,
      users_count: 34,
      token_metrics: {
        input_tokens: 45183,
        output_tokens: 5473,
        total_tokens: 50656,
        reasoning_tokens: 0,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
        audio_total_tokens: 0,
        audio_input_tokens: 0,
        audio_output_tokens: 0,
        discarded_tokens: 0,
      },
      cost: 0.11,
      unpriced_runs_count: 0,
      model_metrics: [],
      latency_metrics: [],
      date: "2026-11-24T00:00:00Z",
      created_at: "2026-11-24T05:00:18.000Z",
      updated_at: "2026-11-24T05:07:59.000Z",
    },
  });

/** How the last refresh went. */
export const refreshStatusSchema = z
  .object({
    status: z.enum(["idle", "running", "completed", "failed"]),
    started_at: z.string().nullable().openapi({ format: "date-time" }),
    finished_at: z.string().nullable().openapi({ format: "date-time" }),
    error: z.string().nullable(),
  })
  .openapi("MetricsRefresh", {
    example: {
      status: "completed",
      started_at: "2026-11-24T05:07:59.579Z",
      finished_at: "2026-11-24T05:07:59.625Z",
      error: null,
    },
  });

/** A day as it is answered. */
export function presentDay(usage: UsageDay): z.input<typeof dayMetricsSchema> {
  return {
    id: `${usage.day}_daily`,
    agent_runs_count: usage.runs,
    failed_runs_count: usage.failedRuns,
    cancelled_runs_count: usage.cancelledRuns,
    agent_sessions_count: usage.sessions,
    team_runs_count: 0,
    team_sessions_count: 0,
    workflow_runs_count: 0,
    workflow_sessions_count: 0,
    users_count: usage.users,
    token_metrics: {
      ...tokens(usage.tokens),
      audio_total_tokens: 0,
      audio_input_tokens: 0,
      audio_output_tokens: 0,
      discarded_tokens: usage.discardedTokens,
    },
    cost: usage.cost,
    unpriced_runs_count: usage.unpricedRuns,
    model_metrics: usage.models.map((model) => ({
      model_id: model.modelId,
      model_provider: model.modelProvider,
      count: model.runs,
      ...tokens(model.tokens),
      cost: model.cost,
      unpriced_runs_count: model.unpricedRuns,
    })),
    latency_metrics: usage.latencies.map((latency) => ({
      agent_id: latency.agentId,
      model_id: latency.modelId,
      model_provider: latency.modelProvider,
      count: latency.runs,
      duration: latency.duration ?? null,
      time_to_first_token: latency.timeToFirstToken ?? null,
    })),
    date: `${usage.day}T00:00:00Z`,
    created_at: new Date(usage.createdAt).toISOString(),
    updated_at: new Date(usage.updatedAt).toISOString(),
  };
}

/** A refresh as it is answered. */
export function presentRefresh(refresh: RefreshStatus): z.input<typeof refreshStatusSchema> {
  const time = (at: number | undefined) => (at === undefined ? null : new Date(at).toISOString());
  return {
    status: refresh.status,
    started_at: time(refresh.startedAt),
    finished_at: time(refresh.finishedAt),
    error: refresh.error ?? null,
  };
}

function tokens(usage: TokenUsage): TokenUsage {
  const { input_tokens, output_tokens, total_tokens } = usage;
  const { reasoning_tokens, cache_read_tokens, cache_write_tokens } = usage;
  return {
    input_tokens,
    output_tokens,
    total_tokens,
    reasoning_tokens,
    cache_read_tokens,
    cache_write_tokens,
  };
}
