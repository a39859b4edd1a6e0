import prom from "prom-client";
import type { Database } from "../db/database.ts";
import type { RunMetrics } from "../events/metrics.ts";
import type { ToolExecution } from "../events/tool-execution.ts";

const { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } = prom;

/** Seconds, from what a cache answers to what a long chain of tools takes. */
const runBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const tokenBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30];
const toolBuckets = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];

/** What is only known at the moment at which it is asked for. */
export interface Levels {
  activeRuns: number;
  activeStreams: number;
}

/** What one process tells. It can be sent to another as JSON. */
export type Measured = Awaited<ReturnType<prom.Registry["getMetricsAsJSON"]>>;

/** A run as its labels name it. A model may call tools that there are not: these have one name together. */
export interface MeteredRun {
  agentId: string;
  model: { id: string; provider: string };
  tools: readonly { name: string }[];
}

/**
 * What Prometheus is told. No label holds what callers choose: there are as many series as agents, models and tools.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export class Meters {
  readonly #db: Database;
  readonly #registry = new Registry();
  readonly #runs;
  readonly #tokens;
  readonly #durations;
  readonly #firstTokens;
  readonly #tools;
  readonly #dropped;
  readonly #droppedSoFar: () => number;
  readonly #active;
  readonly #streams;
  readonly #queue;
  readonly #up;
  readonly #pool;
  #hasDefaults = false;

  /**
   * @param dropped - how many spans were dropped since the start
   * @param worker - names this process where several are one server: each has series of its own
   */
  constructor(db: Database, dropped: () => number, worker?: string) {
    this.#db = db;
    this.#droppedSoFar = dropped;
    if (worker !== undefined) this.#registry.setDefaultLabels({ worker });
    const registers = [this.#registry];
    this.#runs = new Counter({
      name: "agentos_runs_total",
      help: "Runs that ended, by how",
      labelNames: ["agent", "status"],
      registers,
    });
    this.#tokens = new Counter({
      name: "agentos_tokens_total",
      help: "Tokens that models reported; cached and reasoning ones are parts of input and output",
      labelNames: ["agent", "model", "provider", "type"],
      registers,
    });
    this.#durations = new Histogram({
      name: "agentos_run_duration_seconds",
      help: "From the start of a run to its end",
      labelNames: ["agent", "status"],
      buckets: runBuckets,
      registers,
    });
    this.#firstTokens = new Histogram({
      name: "agentos_run_time_to_first_token_seconds",
      help: "From the start of a run to the model's first text or tool call",
      labelNames: ["agent", "model"],
      buckets: tokenBuckets,
      registers,
    });
    this.#tools = new Histogram({
      name: "agentos_tool_duration_seconds",
      help: "How long tools took",
      labelNames: ["agent", "tool", "status"],
      buckets: toolBuckets,
      registers,
    });
    this.#dropped = new Counter({
      name: "agentos_spans_dropped_total",
      help: "Spans that were neither stored nor sent",
      registers,
    });
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    this.#active = gauge("agentos_runs_active", "Runs under way in this process");
    this.#streams = gauge("agentos_streams_active", "Streams that are being read from this process");
    this.#queue = gauge("agentos_queue_depth", "Runs that wait for their turn, in all processes");
    this.#up = gauge("agentos_database_up", "1 while the database answers");
    this.#pool = new Gauge({
      name: "agentos_database_pool_connections",
      help: "Connections of the pool of requests; waiting: those who wait for one",
      labelNames: ["state"],
      registers,
    });
  }

  /** Takes a tool call that has ended. */
  toolCompleted(
    { agentId, tools }: MeteredRun,
    { tool_name, tool_call_error, metrics }: ToolExecution,
  ): void {
    if (!metrics) return;
    const tool = tools.some(({ name }) => name === tool_name) ? tool_name : "other";
    const status = tool_call_error ? "error" : "ok";
    this.#tools.observe({ agent: agentId, tool, status }, metrics.duration);
  }

  /** Takes a run that has ended. */
  runEnded({ agentId: agent, model }: MeteredRun, status: string, metrics: RunMetrics): void {
    this.#runs.inc({ agent, status });
    if (metrics.duration !== undefined) this.#durations.observe({ agent, status }, metrics.duration);
    if (metrics.time_to_first_token !== undefined) {
      this.#firstTokens.observe({ agent, model: model.id }, metrics.time_to_first_token);
    }
    const count = (type: string, tokens: number) => {
      if (tokens > 0) this.#tokens.inc({ agent, model: model.id, provider: model.provider, type }, tokens);
    };
    count("input", metrics.input_tokens);
    count("output", metrics.output_tokens);
    count("cache_read", metrics.cache_read_tokens);
    count("cache_write", metrics.cache_write_tokens);
    count("reasoning", metrics.reasoning_tokens);
  }

  /** How everything stands in this process. */
  async measure(levels: Levels): Promise<Measured> {
    this.#measureProcess();
    this.#active.set(levels.activeRuns);
    this.#streams.set(levels.activeStreams);
    const dropped = this.#droppedSoFar() - (await this.#dropped.get()).values[0]!.value;
    if (dropped > 0) this.#dropped.inc(dropped);
    const waiting = await this.#pendingRuns();
    this.#up.set(waiting === undefined ? 0 : 1);
    this.#queue.set(waiting ?? Number.NaN);
    const pool = this.#db.pool();
    if (pool) {
      for (const state of ["busy", "idle", "waiting", "max"] as const) this.#pool.set({ state }, pool[state]);
    }
    return this.#registry.getMetricsAsJSON();
  }

  /** Undefined while the database does not answer: the rest is told all the same. */
  async #pendingRuns(): Promise<number | undefined> {
    try {
      await this.#db.open();
      return await this.#db.usage().pendingRuns();
    } catch {
      return undefined;
    }
  }

  /** Event loop, memory and garbage collection are measured once somebody asks for them. */
  #measureProcess(): void {
    if (this.#hasDefaults) return;
    this.#hasDefaults = true;
    collectDefaultMetrics({ register: this.#registry });
  }
}

/**
 * Metrics as text, of this process, or of several that are one server.
 *
 * @param openMetrics - in that format, else in Prometheus' own
 */
export async function metricsText(
  processes: readonly Measured[],
  openMetrics: boolean,
): Promise<{ type: string; text: string }> {
  const kept = processes.map((metrics) =>
    metrics.map(({ name, ...metric }) => ({
      ...metric,
      // OpenMetrics adds the end of a counter's name to each of its values. What is typed as a number is a word.
      name: openMetrics && String(metric.type) === "counter" ? name.replace(/_total$/, "") : name,
      // Series of different processes have different labels: there is nothing to add up, and nothing to leave out.
      aggregator: "first",
      // JSON has no word for what is not a number.
      values: metric.values.map((one) => ({ ...one, value: one.value ?? Number.NaN })),
    })),
  );
  const registry = AggregatorRegistry.aggregate(kept);
  // The type knows only the format that a registry begins with.
  if (openMetrics) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
  return { type: registry.contentType, text: await registry.metrics() };
}
