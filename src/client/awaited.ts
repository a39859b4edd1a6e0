import type { JsonObject } from "../events/json.ts";

/** Answers of endpoints that the server has soon: they move to `answers.ts` with them. */

/** In answers of `GET /metrics`. */
export interface DayMetrics {
  id: string;
  /** All of them, failed and cancelled ones too. */
  agent_runs_count: number;
  failed_runs_count: number;
  cancelled_runs_count: number;
  agent_sessions_count: number;
  team_runs_count: number;
  team_sessions_count: number;
  workflow_runs_count: number;
  workflow_sessions_count: number;
  users_count: number;
  token_metrics: {
    input_tokens: number;
    output_tokens: number;
    total_tokens: number;
    reasoning_tokens: number;
    cache_read_tokens: number;
    cache_write_tokens: number;
    audio_total_tokens: number;
    audio_input_tokens: number;
    audio_output_tokens: number;
    /** Output that was lost with its process and made again, estimated; no part of the others. */
    discarded_tokens: number;
  };
  /** In the currency of the server's prices; null where nothing of it has a price. */
  cost: number | null;
  /** Runs that `cost` knows nothing of. */
  unpriced_runs_count: number;
  model_metrics: {
    model_id: string;
    model_provider: string;
    count: number;
    input_tokens: number;
    output_tokens: number;
    total_tokens: number;
    reasoning_tokens: number;
    cache_read_tokens: number;
    cache_write_tokens: number;
    /** In the currency of the server's prices; null where nothing of it has a price. */
    cost: number | null;
    unpriced_runs_count: number;
  }[];
  /** Of all users together: empty where one user is asked for. */
  latency_metrics: {
    agent_id: string;
    model_id: string;
    model_provider: string;
    count: number;
    /** Seconds, 2.5 % off at most. */
    duration: {
      p50: number;
      p95: number;
    } | null;
    /** Seconds, 2.5 % off at most. */
    time_to_first_token: {
      p50: number;
      p95: number;
    } | null;
  }[];
  date: string;
  created_at: string;
  updated_at: string;
}

/** In answers of `GET /metrics`. */
export interface Metrics {
  metrics: DayMetrics[];
  updated_at: string | null;
}

/** In answers of `GET /metrics/refresh/status`. */
export interface MetricsRefresh {
  status: "idle" | "running" | "completed" | "failed";
  started_at: string | null;
  finished_at: string | null;
  error: string | null;
}

/** In answers of `POST /metrics/refresh`. */
export interface RefreshMetrics {
  status: "started" | "already_running";
  message: string;
}

/** In answers of `GET /trace_session_stats`. */
export interface SessionTraces {
  session_id: string;
  user_id: string | null;
  agent_id: string;
  total_traces: number;
  first_trace_at: string;
  last_trace_at: string;
}

/** In answers of `GET /trace_session_stats`. */
export interface SessionTracesPage {
  data: SessionTraces[];
  meta: {
    page: number;
    limit: number;
    total_pages: number;
    /** Exact up to 10,000, and stays there. */
    total_count: number;
    total_is_capped?: boolean;
    search_time_ms: number;
    /** Give it as `cursor` for what follows; absent at the end. */
    next_cursor?: string;
  };
}

/** In answers of `GET /traces`. */
export interface Trace {
  trace_id: string;
  name: string;
  status: "OK" | "ERROR";
  /** Milliseconds, with their unit. */
  duration: string;
  start_time: string;
  end_time: string;
  total_spans: number;
  error_count: number;
  input: string;
  run_id: string;
  session_id: string;
  user_id: string | null;
  agent_id: string;
  created_at: string;
}

/** In answers of `GET /traces/{trace_id}`. */
export interface TraceDetail {
  trace_id: string;
  name: string;
  status: "OK" | "ERROR";
  /** Milliseconds, with their unit. */
  duration: string;
  start_time: string;
  end_time: string;
  total_spans: number;
  error_count: number;
  input: string;
  run_id: string;
  session_id: string;
  user_id: string | null;
  agent_id: string;
  created_at: string;
  output: string;
  tree: TraceNode[];
}

/** In answers of `POST /traces/search`. */
export interface TraceDetailPage {
  data: TraceDetail[];
  meta: {
    page: number;
    limit: number;
    total_pages: number;
    /** Exact up to 10,000, and stays there. */
    total_count: number;
    total_is_capped?: boolean;
    search_time_ms: number;
    /** Give it as `cursor` for what follows; absent at the end. */
    next_cursor?: string;
  };
}

/** In answers of `GET /traces/filter-schema`. */
export interface TraceFilterSchema {
  fields: {
    key: string;
    label: string;
    type: "enum" | "string" | "number" | "datetime";
    operators: string[];
    values: string[] | null;
  }[];
  logical_operators: string[];
}

/** In answers of `GET /traces/{trace_id}`. */
export interface TraceNode {
  id: string;
  name: string;
  /** SPAN is one that a tool made itself. */
  type: "AGENT" | "LLM" | "TOOL" | "MEMORY" | "QUEUE" | "SPAN";
  duration: string;
  start_time: string;
  end_time: string;
  status: "OK" | "ERROR";
  input?: string;
  output?: string;
  error?: string;
  metadata: JsonObject;
  /** Those below it, of the same shape, in the order in which they began. */
  spans?: JsonObject[];
}

/** In answers of `GET /traces`. */
export interface TracePage {
  data: Trace[];
  meta: {
    page: number;
    limit: number;
    total_pages: number;
    /** Exact up to 10,000, and stays there. */
    total_count: number;
    total_is_capped?: boolean;
    search_time_ms: number;
    /** Give it as `cursor` for what follows; absent at the end. */
    next_cursor?: string;
  };
}

/** In answers of `GET /traces/{trace_id}`. */
export interface TraceSpan {
  id: string;
  name: string;
  /** SPAN is one that a tool made itself. */
  type: "AGENT" | "LLM" | "TOOL" | "MEMORY" | "QUEUE" | "SPAN";
  duration: string;
  start_time: string;
  end_time: string;
  status: "OK" | "ERROR";
  input?: string;
  output?: string;
  error?: string;
  metadata: JsonObject;
  kind: string;
  parent_span_id: string | null;
  attributes: JsonObject;
  events: JsonObject[];
  links: JsonObject[];
}
