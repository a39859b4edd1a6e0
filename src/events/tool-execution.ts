import type { JsonObject, JsonValue } from "./json.ts";

/** One argument of a call that somebody is to fill in. */
export interface UserInputField {
  /** The argument's name. */
  name: string;
  /** Its JSON type: `string`, `integer`, `number`, `boolean`, `array`, `object`; `any` where there is no single one. */
  field_type: string;
  description: string | null;
  /** What the model proposes, and once answered, what was filled in. */
  value: JsonValue;
}

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
  /** Whether the call waits until somebody allows it; false once that is decided. */
  requires_confirmation?: boolean;
  /** What was decided. */
  confirmed?: boolean;
  /** Why; the model is told the note of a call that was not allowed. */
  confirmation_note?: string;
  /** Whether the call waits until somebody fills in arguments; false once that is done. */
  requires_user_input?: boolean;
  /** The arguments that are to be filled in. */
  user_input_schema?: UserInputField[];
  /** Whether they were. */
  answered?: boolean;
  /** Whether the call is made outside of the server, and waits for its result; false once that is there. */
  external_execution_required?: boolean;
  /** Whether the call had begun before the server stopped, so that it may have had its effect: see `onUnknownResult`. */
  result_unknown?: boolean;
}
