import type { JsonObject, JsonValue } from "../events/json.ts";
import type { MediaReference, Message } from "../events/messages.ts";
import type { RunMetrics } from "../events/metrics.ts";
import type { Requirement } from "../events/requirements.ts";
import type { RunStatus } from "../events/run.ts";
import type { ToolExecution } from "../events/tool-execution.ts";

/** What the server answers: made by `npm run client:types` from its OpenAPI document, never by hand. */

/** In answers of `POST /agents/{agent_id}/runs`. */
export interface AcceptedRun {
  run_id: string;
  session_id: string;
  status: string;
}

/** In answers of `GET /agents`. */
export interface Agent {
  id: string;
  name?: string;
  description?: string;
  db_id: string;
  model: {
    name: string;
    model: string;
    provider: string;
  };
  tools: {
    tools: {
      name: string;
      description: string;
      parameters: JsonObject;
      requires_confirmation?: boolean;
      requires_user_input?: boolean;
      external_execution?: boolean;
    }[];
  };
  sessions: {
    session_table: string;
    add_history_to_context: boolean;
  };
  memory?: {
    enable_agentic_memory: boolean;
    update_memory_on_run: boolean;
    model: {
      name: string;
      model: string;
      provider: string;
    };
  };
  /** What else it has. */
  [more: string]: unknown;
}

/** In answers of `GET /audit-log`. */
export interface AuditEntry {
  id: number;
  at: string;
  outcome: "denied" | "allowed";
  /** Of the answer. */
  status: number;
  user_id: string | null;
  /** Its id, or the beginning of its hash. */
  token_id: string | null;
  /** The user in whose name it was done. */
  acted_for: string | null;
  address: string | null;
  method: string;
  path: string;
  reason: string | null;
}

/** In answers of `GET /audit-log`. */
export interface AuditLog {
  data: AuditEntry[];
  meta: {
    next_cursor?: number;
  };
}

/** In answers of `GET /agents/{agent_id}/runs/{run_id}/checkpoints`. */
export interface Checkpoint {
  /** Counts them; null where none stands here. */
  checkpoint_id: string | null;
  run_id: string;
  session_id: string;
  /** How many messages stand before it. */
  message_index: number;
  /** What a continue takes to begin here. */
  continue_from: number;
  /** Lower case; upper case with agnoCompat. */
  status: RunStatus;
  reason: "checkpoint" | "pause" | "end" | "snapshot";
  created_at: number;
  /** The last message before it. */
  message_id: string | null;
  message_role: string | null;
  message_preview: string | null;
  is_latest: boolean;
}

/** In answers of `POST /agents/{agent_id}/sessions/{session_id}/compact`. */
export interface Compaction {
  status:
    | "compacted"
    | "not_worth_it"
    | "nothing_to_fold"
    | "already_compacted"
    | "no_history"
    | "not_enabled"
    | "summary_failed";
  message: string;
  compacted: boolean;
  record: {
    messages_compacted: number;
    tokens_before: number;
    tokens_after: number;
  } | null;
  metrics: JsonObject | null;
}

/** In answers of `GET /config`. */
export interface Config {
  os_id: string;
  available_models: {
    id: string;
    provider: string;
  }[];
  databases: string[];
  session: ConfigDomain;
  metrics: ConfigDomain;
  memory: ConfigDomain;
  traces: ConfigDomain;
  agents: {
    id: string;
    name?: string;
    db_id: string;
    model: {
      id: string;
      provider: string;
    };
  }[];
  teams: JsonValue[];
  workflows: JsonValue[];
  interfaces: JsonValue[];
}

/** Where something is stored. */
export interface ConfigDomain {
  dbs: {
    db_id: string;
    domain_config: {
      display_name: string;
    };
    tables: string[];
  }[];
}

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

/** How many there were of each. */
export interface Erased {
  sessions: number;
  runs: number;
  messages: number;
  /** Rows of the logs of runs; each holds many events. */
  run_events: number;
  files: number;
  memories: number;
}

/** In answers of `GET /agents/{agent_id}/runs/{run_id}/checkpoints/{message_index}`. */
export interface GetCheckpoint {
  checkpoint: Checkpoint;
  snapshot: RunSnapshot;
}

/** In answers of `GET /health`. */
export interface Health {
  status: "ok";
  instantiated_at: string;
}

/** In answers of `GET /`. */
export interface Home {
  name: string;
  id: string;
  description: string | null;
  /** Where the live page is, seen from here; the others too. */
  docs: string;
  openapi: string;
  health: string;
}

/** In answers of `GET /info`. */
export interface Info {
  os_id: string;
  name: string | null;
  os_version: string;
  agent_count: number;
  team_count: number;
  workflow_count: number;
  mcp: {
    enabled: boolean;
    path: string | null;
    oauth: null;
    tool_run_endpoint: boolean;
  };
  auth_mode: "none" | "jwt" | "security_key";
  user_isolation: boolean;
}

/** A background run as an entry of the queue. */
export interface Job {
  /** The run's id. */
  id: string;
  state: "queued" | "running" | "paused" | "completed" | "failed" | "cancelled";
  /** That of the run. */
  status: string;
  agent_id: string;
  session_id: string;
  user_id: string | null;
  input: string;
  /** How often it was begun. */
  attempt: number;
  /** How often its server was lost since its last checkpoint. */
  crashes: number;
  /** Which server does it. */
  node_id: string | null;
  cancel_requested: boolean;
  error_type: string | null;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
}

/** In answers of `GET /queue/jobs`. */
export interface JobPage {
  data: Job[];
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

/** In answers of `GET /agents/{agent_id}/runs/{run_id}/checkpoints`. */
export interface ListCheckpoints {
  run_id: string;
  session_id: string;
  checkpoints: Checkpoint[];
}

/** In answers of `GET /agents/{agent_id}/runs`. */
export interface ListedRun {
  run_id: string;
  parent_run_id: string;
  agent_id: string;
  user_id: string | null;
  /** Lower case; upper case with agnoCompat. */
  status: RunStatus;
  run_input: string;
  content?: JsonValue;
  metrics: RunMetrics;
  metadata: JsonObject | null;
  messages: Message[];
  tools: ToolExecution[] | null;
  requirements: Requirement[] | null;
  forked_from_run_id: string | null;
  forked_from_message_index: number | null;
  regenerated_from: string | null;
  superseded_by: string | null;
  session_state: JsonObject;
  created_at: string;
  /** What else it has. */
  [more: string]: unknown;
}

/** In answers of `GET /sessions`. */
export interface ListedSession {
  session_id: string;
  session_name: string;
  session_state: JsonObject;
  user_id: string | null;
  /** The agent that it began with. */
  agent_id: string;
  metrics: SessionTokens;
  total_tokens: number | null;
  created_at: string;
  updated_at: string;
  session_type: "agent";
  /** With `search`: HTML, with `<mark>` around what was found. */
  snippet?: string;
}

/** In answers of `POST /memories`. */
export interface Memory {
  memory_id: string;
  memory: string;
  topics: string[];
  /** The agent that wrote it. */
  agent_id: string | null;
  team_id: null;
  user_id: string;
  updated_at: string;
  created_at: string;
  /** The run in which it was written. */
  run_id?: string;
  session_id?: string;
  /** What the user had said then. */
  input?: string;
}

/** In answers of `POST /optimize-memories`. */
export interface MemoryOptimization {
  memories: Memory[];
  memories_before: number;
  memories_after: number;
  /** About: four characters each. */
  tokens_before: number;
  tokens_after: number;
  tokens_saved: number;
  reduction_percentage: number;
}

/** In answers of `GET /memories`. */
export interface MemoryPage {
  data: Memory[];
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

/** In answers of `POST /service-accounts`. */
export interface MintedServiceAccount {
  id: string;
  name: string;
  /** The user that its data belongs to. */
  user_id: string;
  token_prefix: string;
  scopes: string[];
  created_by: string | null;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  /** Within a minute. */
  last_used_at: string | null;
  /** Told now, and never again. */
  token: string;
}

/** In answers of `GET /queue/nodes`. */
export interface QueueNode {
  node_id: string;
  alive: boolean;
  lease_seconds_left: number;
  /** In foreground and background. */
  runs: number;
}

/** In answers of `GET /queue/stats`. */
export interface QueueStats {
  counts: {
    queued: number;
    running: number;
    paused: number;
    completed: number;
    failed: number;
    cancelled: number;
  };
  oldest_queued_age_seconds: number | null;
  agents: {
    agent_id: string;
    queued: number;
    running: number;
  }[];
}

/** In answers of `GET /readyz`. */
export interface Ready {
  status: "ready";
}

/** In answers of `POST /metrics/refresh`. */
export interface RefreshMetrics {
  status: "started" | "already_running";
  message: string;
}

/** In answers of `POST /agents/{agent_id}/runs`. */
export interface Run {
  run_id: string;
  agent_id: string;
  agent_name?: string;
  session_id: string;
  user_id: string | null;
  /** Lower case; upper case with agnoCompat. */
  status: RunStatus;
  /** The answer: text, or the object of an output schema. */
  content?: JsonValue;
  /** `str`, or the title of the output schema. */
  content_type: string;
  reasoning_content?: string;
  model: string;
  model_provider: string;
  session_state: JsonObject;
  metadata?: JsonObject;
  metrics: RunMetrics;
  messages: Message[];
  tools: ToolExecution[];
  requirements: Requirement[];
  input: {
    input_content: string;
    files?: MediaReference[];
    images?: MediaReference[];
    audio?: MediaReference[];
  };
  forked_from_run_id?: string;
  forked_from_message_index?: number;
  regenerated_from?: string;
  superseded_by?: string;
  error_type?: string;
  /** Unix time in seconds. */
  created_at: number;
  updated_at: number;
  events?: JsonValue[];
}

/** In answers of `GET /sessions/{session_id}/run-previews`. */
export interface RunPreview {
  run_id: string;
  parent_run_id: string;
  agent_id: string;
  user_id: string | null;
  status: string;
  run_input: string;
  content_preview: string;
  created_at: string;
}

/** A run as it was at a message. */
export interface RunSnapshot {
  run_id: string;
  agent_id: string;
  agent_name?: string;
  session_id: string;
  user_id: string | null;
  /** Lower case; upper case with agnoCompat. */
  status: RunStatus;
  /** The answer: text, or the object of an output schema. */
  content?: JsonValue;
  /** `str`, or the title of the output schema. */
  content_type: string;
  reasoning_content?: string;
  model: string;
  model_provider: string;
  session_state: JsonObject;
  metadata?: JsonObject;
  metrics: RunMetrics;
  messages: Message[];
  tools: ToolExecution[];
  requirements: Requirement[];
  input: {
    input_content: string;
    files?: MediaReference[];
    images?: MediaReference[];
    audio?: MediaReference[];
  };
  forked_from_run_id?: string;
  forked_from_message_index?: number;
  regenerated_from?: string;
  superseded_by?: string;
  error_type?: string;
  /** Unix time in seconds. */
  created_at: number;
  updated_at: number;
  events?: JsonValue[];
  last_checkpoint_at_message_index: number;
}

/** In answers of `GET /service-accounts`. */
export interface ServiceAccount {
  id: string;
  name: string;
  /** The user that its data belongs to. */
  user_id: string;
  token_prefix: string;
  scopes: string[];
  created_by: string | null;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  /** Within a minute. */
  last_used_at: string | null;
}

/** In answers of `GET /service-accounts`. */
export interface ServiceAccountPage {
  data: ServiceAccount[];
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

/** In answers of `POST /sessions`. */
export interface Session {
  session_id: string;
  session_name: string;
  session_state: JsonObject;
  user_id: string | null;
  /** The agent that it began with. */
  agent_id: string;
  metrics: SessionTokens;
  total_tokens: number | null;
  created_at: string;
  updated_at: string;
  agent_session_id: string;
  session_summary: JsonObject | null;
  /** The agent as it is served; null where it is not. */
  agent_data: {
    agent_id: string;
    name?: string;
    model: {
      name: string;
      provider: string;
      id: string;
    };
  } | null;
  metadata: JsonObject | null;
  /** What user and agents said in the newest 100 runs, oldest first. */
  chat_history: JsonObject[];
}

/** In answers of `POST /agents/{agent_id}/sessions/{session_id}/fork`. */
export interface SessionFork {
  session_id: string;
  forked_from_session_id: string;
}

/** In answers of `GET /sessions`. */
export interface SessionPage {
  data: ListedSession[];
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

/** What its runs used in all; empty where it has none. */
export interface SessionTokens {
  input_tokens?: number;
  output_tokens?: number;
  total_tokens?: number;
  reasoning_tokens?: number;
  cache_read_tokens?: number;
  cache_write_tokens?: number;
  /** Null where nothing of it has a price. */
  cost?: number | null;
  /** Ended runs that `cost` knows nothing of. */
  unpriced_runs_count?: number;
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
  /** Spans that are not in the tree, for the answer has 8 MiB of them already. `GET /traces/{trace_id}` with `run_id` has all of a run. */
  spans_left_out?: number;
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

/** In answers of `GET /user_memory_stats`. */
export interface UserMemoryStats {
  user_id: string;
  total_memories: number;
  last_memory_updated_at: string;
}

/** In answers of `GET /user_memory_stats`. */
export interface UserMemoryStatsPage {
  data: UserMemoryStats[];
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
