import type { ToolExecution } from "./tool-execution.ts";

/** What a run asks people for: a call that waits for a decision, for arguments, or for its result. */
export interface Requirement {
  id: string;
  /** ISO 8601, in UTC. */
  created_at: string;
  /** The call as it stands. While it waits, it says what for. */
  tool_execution: ToolExecution;
}

/** Whether a call waits for people. */
export function isWaiting(tool: ToolExecution): boolean {
  return (
    tool.requires_confirmation === true ||
    tool.requires_user_input === true ||
    tool.external_execution_required === true
  );
}
