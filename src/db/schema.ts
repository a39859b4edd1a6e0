import type { Generated } from "kysely";
import type { TokenUsage } from "../events/metrics.ts";

/**
 * The tables, the same on both engines. JSON is text: PostgreSQL's `jsonb` refuses `\u0000` and lone surrogates, which
 * models, tools and users do send. Times are Unix milliseconds.
 */
export interface Tables {
  sessions: SessionsTable;
  runs: RunsTable;
  messages: MessagesTable;
  run_events: RunEventsTable;
  media: MediaTable;
  run_media: RunMediaTable;
  session_texts: SessionTextsTable;
  memories: MemoriesTable;
  memory_topics: MemoryTopicsTable;
  nodes: NodesTable;
  service_accounts: ServiceAccountsTable;
  audit_log: AuditLogTable;
  rate_limits: RateLimitsTable;
  limit_slots: LimitSlotsTable;
  daily_tokens: DailyTokensTable;
  idempotency_keys: IdempotencyKeysTable;
  traces: TracesTable;
  metric_days: MetricDaysTable;
  metric_models: MetricModelsTable;
  metric_sessions: MetricSessionsTable;
  metric_latencies: MetricLatenciesTable;
  metric_refreshes: MetricRefreshesTable;
}

interface SessionsTable {
  session_id: string;
  agent_id: string;
  user_id: string | null;
  name: string | null;
  /** Who gave the name; a later one of these wins over an earlier. */
  named_by: Generated<"message" | "model" | "user" | null>;
  /** `queue_seq` of the last run that the summary tells: the model is not sent it any more. */
  compacted_until: Generated<number | null>;
  state: string;
  metadata: string | null;
  summary: string | null;
  created_at: number;
  updated_at: number;
}

interface RunsTable {
  /** The order in which runs were accepted. */
  queue_seq: Generated<number>;
  run_id: string;
  session_id: string;
  agent_id: string;
  user_id: string | null;
  parent_run_id: string | null;
  status: string;
  background: number;
  /** Whether it may only begin when no earlier run of its session is pending or running. */
  waits: Generated<number>;
  /** When a pending one may be taken up, at the earliest. */
  available_at: Generated<number>;
  node_id: string | null;
  attempt: number;
  /** How often its process was lost since its last checkpoint. */
  crashes: Generated<number>;
  checkpoint_index: Generated<number>;
  /** JSON of what it needs beside its messages to go on from there. */
  checkpoint: Generated<string | null>;
  /** JSON of what it was started with beside its input: another process may have to begin it. */
  request: Generated<string | null>;
  cancel_requested_at: Generated<number | null>;
  /** Names the pause that a paused run is in. */
  pause_id: Generated<string | null>;
  /** JSON of what it asks people for. */
  requirements: Generated<string | null>;
  forked_from_run_id: Generated<string | null>;
  forked_from_message_index: Generated<number | null>;
  regenerated_from: Generated<string | null>;
  /** The run that took its place: then it is left out of history. */
  superseded_by: Generated<string | null>;
  input: string;
  content: Generated<string>;
  content_type: Generated<string>;
  reasoning_content: Generated<string>;
  tools: Generated<string>;
  session_state: Generated<string>;
  metadata: string;
  metrics: Generated<string>;
  input_tokens: Generated<number>;
  output_tokens: Generated<number>;
  total_tokens: Generated<number>;
  reasoning_tokens: Generated<number>;
  cache_read_tokens: Generated<number>;
  cache_write_tokens: Generated<number>;
  model: string;
  model_provider: string;
  error: Generated<string | null>;
  created_at: number;
  updated_at: number;
  started_at: number | null;
  ended_at: Generated<number | null>;
  /** The span that asked for the run, as W3C's `traceparent` has it. */
  traceparent: Generated<string | null>;
  /** What the model's provider takes for it; null where that is not known. */
  cost: Generated<number | null>;
  /** 1 once the run stands in the metrics of its day. */
  metered: Generated<number>;
}

interface MessagesTable {
  run_id: string;
  position: number;
  role: string;
  message: string;
}

interface RunEventsTable {
  run_id: string;
  first_index: number;
  last_index: number;
  attempt: number;
  /** A JSON array of the events from `first_index` to `last_index`, without their envelope. */
  events: string;
}

interface MediaTable {
  sha256: string;
  size: number;
  bytes: Uint8Array;
}

interface RunMediaTable {
  media_id: string;
  run_id: string;
  session_id: string;
  sha256: string;
  filename: string;
  mime_type: string;
}

interface SessionTextsTable {
  text_id: Generated<number>;
  session_id: string;
  /** Empty for the session's name. */
  run_id: string;
  /** The word that stands for the session's owner; empty for nobody. */
  owner: string;
  text: string;
}

interface MemoriesTable {
  memory_seq: Generated<number>;
  memory_id: string;
  user_id: string;
  /** The word that stands for the user. */
  owner: string;
  /** Who wrote it; null where a person did. */
  agent_id: string | null;
  memory: string;
  /** What the user said when it was written. */
  input: string | null;
  run_id: string | null;
  session_id: string | null;
  created_at: number;
  updated_at: number;
}

interface MemoryTopicsTable {
  memory_id: string;
  position: number;
  topic: string;
}

interface NodesTable {
  node_id: string;
  /** By the database's clock. */
  lease_until: number;
}

interface ServiceAccountsTable {
  account_id: string;
  name: string;
  /** SHA-256 of the token, in hex. */
  token_hash: string;
  /** How the token begins, for people to know it by. */
  token_prefix: string;
  /** A JSON array. */
  scopes: string;
  created_by: string | null;
  created_at: number;
  /** Null for never. */
  expires_at: number | null;
  revoked_at: number | null;
  last_used_at: number | null;
}

interface AuditLogTable {
  entry_id: Generated<number>;
  at: number;
  outcome: "denied" | "allowed";
  status: number;
  user_id: string | null;
  token_id: string | null;
  /** The user that the caller acted for. */
  acted_for: string | null;
  address: string | null;
  method: string;
  path: string;
  reason: string | null;
}

interface RateLimitsTable {
  limit_key: string;
  /** By the database's clock: until when what was done so far uses the rate up. */
  used_until: number;
}

interface LimitSlotsTable {
  slot_id: string;
  limit_key: string;
  /** The process that holds it. */
  holder: string;
  /** By the database's clock. */
  held_until: number;
}

interface DailyTokensTable {
  limit_key: string;
  /** Days since 1970, UTC. */
  day: number;
  tokens: number;
}

interface IdempotencyKeysTable {
  /** The user whose key it is; empty for nobody. */
  owner: string;
  key: string;
  request_hash: string;
  run_id: string;
  created_at: number;
}

interface TracesTable {
  run_id: string;
  trace_id: string;
  session_id: string;
  agent_id: string;
  user_id: string | null;
  name: string;
  status: "OK" | "ERROR";
  start_time: number;
  end_time: number;
  duration_ms: number;
  total_spans: number;
  error_count: number;
  created_at: number;
  /** JSON of a text. */
  input: string;
  output: string;
  /** A JSON array. */
  spans: string;
}

interface MetricDaysTable extends TokenUsage {
  /** `YYYY-MM-DD`, in UTC. */
  day: string;
  /** Empty for all users together. */
  user_id: string;
  runs: number;
  failed_runs: number;
  cancelled_runs: number;
  sessions: number;
  users: number;
  discarded_tokens: number;
  cost: number | null;
  unpriced_runs: number;
  created_at: number;
  updated_at: number;
}

interface MetricModelsTable extends TokenUsage {
  day: string;
  user_id: string;
  model_id: string;
  model_provider: string;
  runs: number;
  cost: number | null;
  unpriced_runs: number;
}

interface MetricSessionsTable {
  user_id: string;
  day: string;
  session_id: string;
}

interface MetricLatenciesTable {
  day: string;
  agent_id: string;
  model_id: string;
  model_provider: string;
  /** JSON of histograms. */
  durations: string;
  first_tokens: string;
}

interface MetricRefreshesTable {
  id: number;
  status: "idle" | "running" | "completed" | "failed";
  started_at: Generated<number | null>;
  finished_at: Generated<number | null>;
  alive_at: Generated<number | null>;
  error: Generated<string | null>;
}
