import type { RunMetrics, TokenUsage } from "../events/metrics.ts";

/** What was used in one day, in UTC, by one user or by all. */
export interface UsageDay {
  /** `YYYY-MM-DD` */
  day: string;
  runs: number;
  failedRuns: number;
  cancelledRuns: number;
  sessions: number;
  users: number;
  tokens: TokenUsage;
  /** Output that was cut off with its process and made again, estimated from its text. It is no part of `tokens`. */
  discardedTokens: number;
  /** Null where nothing of it has a price. */
  cost: number | null;
  /** Runs that `cost` knows nothing of. */
  unpricedRuns: number;
  models: ModelDay[];
  /** By agent and model; empty for one user. */
  latencies: LatencyDay[];
  /** Unix times in milliseconds. */
  createdAt: number;
  updatedAt: number;
}

/** What was used of one model in one day. */
export interface ModelDay {
  modelId: string;
  modelProvider: string;
  runs: number;
  tokens: TokenUsage;
  cost: number | null;
  unpricedRuns: number;
}

/** How long runs of an agent with a model took in one day. */
export interface LatencyDay {
  agentId: string;
  modelId: string;
  modelProvider: string;
  runs: number;
  /** Seconds; undefined where no run has one. */
  duration: Quantiles | undefined;
  timeToFirstToken: Quantiles | undefined;
}

/** The middle, and what 95 of 100 stay below. */
export interface Quantiles {
  p50: number;
  p95: number;
}

/** Which days are wanted, both included. */
export interface UsageFilter {
  from?: string;
  until?: string;
  userId?: string;
}

/** How the last refresh went. Times are Unix milliseconds. */
export interface RefreshStatus {
  status: "idle" | "running" | "completed" | "failed";
  startedAt: number | undefined;
  finishedAt: number | undefined;
  error: string | undefined;
}

/** Counts ended runs into their days. */
export interface UsageLog {
  /**
   * Counts some ended runs that were not counted yet, each once, whoever else counts too.
   *
   * @param price - gives metrics their cost, for runs that ended without anybody who knew it
   * @returns how many runs there were, and the days that changed; no run means that all are counted
   */
  count(
    atOnce: number,
    price: (metrics: RunMetrics) => RunMetrics,
  ): Promise<{ runs: number; days: string[] }>;

  /** How the last refresh went. One that has not been heard of for a minute has failed. */
  status(): Promise<RefreshStatus>;

  /** Notes how a refresh goes. */
  note(status: Omit<RefreshStatus, "startedAt" | "finishedAt">): Promise<void>;

  /** Runs that wait for their turn. */
  pendingRuns(): Promise<number>;
}
