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
  snapshot: Run;
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
  auth_mode: "none";
  user_isolation: boolean;
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

/** In answers of `GET /readyz`. */
export interface Ready {
  status: "ready";
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
