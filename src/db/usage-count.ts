import { addTokens, noTokens, type RunMetrics, type TokenUsage } from "../events/metrics.ts";
import { addHistogram, type Histogram, observe } from "./histogram.ts";

/** An ended run, as far as it is counted. */
export interface EndedRun {
  sessionId: string;
  userId: string;
  agentId: string;
  status: string;
  /** Unix time in milliseconds. */
  startedAt: number;
  model: string;
  modelProvider: string;
  metrics: RunMetrics;
  discardedTokens: number;
}

/** A sum of what runs used. */
export interface Sum {
  runs: number;
  tokens: TokenUsage;
  cost: number | null;
  unpricedRuns: number;
}

/** What runs of one day and user come to. */
export interface DaySum extends Sum {
  day: string;
  /** Empty for all users. */
  userId: string;
  failedRuns: number;
  cancelledRuns: number;
  discardedTokens: number;
}

/** What they used of one model. */
export interface ModelSum extends Sum {
  day: string;
  userId: string;
  modelId: string;
  modelProvider: string;
}

/** How long they took. */
export interface LatencySum {
  day: string;
  agentId: string;
  modelId: string;
  modelProvider: string;
  durations: Histogram;
  firstTokens: Histogram;
}

/** Adds up ended runs by what metrics are asked for. */
export class UsageCount {
  readonly days = new Map<string, DaySum>();
  readonly models = new Map<string, ModelSum>();
  readonly latencies = new Map<string, LatencySum>();
  /** Days with the sessions that ran in them, for all users and for each. */
  readonly sessions = new Map<string, { user_id: string; day: string; session_id: string }>();

  add(run: EndedRun): void {
    const day = new Date(run.startedAt).toISOString().slice(0, 10);
    // What nobody in particular ran is part of the day, and of no user's.
    for (const userId of run.userId === "" ? [""] : ["", run.userId]) {
      this.#addDay(day, userId, run);
      this.#addModels(day, userId, run);
      const session = { user_id: userId, day, session_id: run.sessionId };
      this.sessions.set(JSON.stringify([userId, day, run.sessionId]), session);
    }
    this.#addLatency(day, run);
  }

  #addDay(day: string, userId: string, { status, metrics, discardedTokens }: EndedRun): void {
    const sum = entry(this.days, [day, userId], () => ({
      day,
      userId,
      ...nothing(),
      failedRuns: 0,
      cancelledRuns: 0,
      discardedTokens: 0,
    }));
    if (status === "error") sum.failedRuns++;
    if (status === "cancelled") sum.cancelledRuns++;
    sum.discardedTokens += discardedTokens;
    addTo(sum, metrics, metrics.cost ?? null);
  }

  #addModels(day: string, userId: string, run: EndedRun): void {
    const used = run.metrics.details?.model ?? [
      { id: run.model, provider: run.modelProvider, ...noTokens(), cost: run.metrics.cost ?? null },
    ];
    for (const usage of used) {
      const { id: modelId, provider: modelProvider } = usage;
      const sum = entry(this.models, [day, userId, modelId, modelProvider], () => ({
        day,
        userId,
        modelId,
        modelProvider,
        ...nothing(),
      }));
      addTo(sum, usage, usage.cost ?? null);
    }
  }

  #addLatency(day: string, { agentId, model: modelId, modelProvider, metrics }: EndedRun): void {
    const sum = entry(this.latencies, [day, agentId, modelId, modelProvider], () => ({
      day,
      agentId,
      modelId,
      modelProvider,
      durations: new Map(),
      firstTokens: new Map(),
    }));
    if (metrics.duration !== undefined) observe(sum.durations, metrics.duration);
    if (metrics.time_to_first_token !== undefined) observe(sum.firstTokens, metrics.time_to_first_token);
  }
}

/** Adds latencies, in place. */
export function addLatency(sum: Pick<LatencySum, "durations" | "firstTokens">, more: LatencySum): void {
  addHistogram(sum.durations, more.durations);
  addHistogram(sum.firstTokens, more.firstTokens);
}

function addTo(sum: Sum, usage: TokenUsage, cost: number | null): void {
  sum.runs++;
  addTokens(sum.tokens, usage);
  if (cost === null) sum.unpricedRuns++;
  else sum.cost = (sum.cost ?? 0) + cost;
}

function nothing(): Sum {
  return { runs: 0, tokens: noTokens(), cost: null, unpricedRuns: 0 };
}

function entry<T>(map: Map<string, T>, key: readonly string[], make: () => T): T {
  const name = JSON.stringify(key);
  let found = map.get(name);
  if (!found) {
    found = make();
    map.set(name, found);
  }
  return found;
}
