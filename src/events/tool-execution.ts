import type { JsonObject } from "./json.ts";

/** A tool call of a run: what was asked, and once it ended, what came of it. Times are Unix times in seconds. */
export interface ToolExecution {
  tool_call_id: string;
  tool_name: string;
  tool_args: JsonObject;
  /** Null until the call ended. */
  tool_call_error: boolean | null;
  /** What the model was told: the tool's result as text, or its error. Null until the call ended. */
  result: string | null;
  metrics: { start_time: number; end_time: number; duration: number } | null;
  stop_after_tool_call: boolean;
  created_at: number;
}
