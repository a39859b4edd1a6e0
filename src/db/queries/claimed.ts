import type { JsonObject } from "../../events/json.ts";
import type { NewRun, QueueLimits, SessionStart } from "../records.ts";

/** What claiming a session gives. */
export interface ClaimedSession {
  state: string;
  user_id: string | null;
  created_at: number;
  named_by: "message" | "model" | "user" | null;
  summary: string | null;
  compacted_until: number | null;
}

/** The claimed session as a run finds it; undefined where it is somebody else's. */
export function sessionStart(run: NewRun, row: ClaimedSession | undefined): SessionStart | undefined {
  return row && sessionStartOf(row, run.createdAt);
}

/** Whether a session that was there already had no owner, and has one now. */
export function isAdopted(
  before: { user_id: string | null } | undefined,
  claimed: Pick<ClaimedSession, "user_id"> | undefined,
): boolean {
  return before?.user_id === null && claimed !== undefined && claimed.user_id !== null;
}

/** A session as a run finds it that was accepted before. */
export function sessionStartOf(row: ClaimedSession, runCreatedAt: number): SessionStart {
  return {
    isNew: row.created_at === runCreatedAt,
    state: JSON.parse(row.state) as JsonObject,
    named: row.named_by !== "message",
    summary: row.summary,
    compactedUntil: row.compacted_until,
  };
}

/** The first limit without room. */
export function fullIn(
  room: Record<keyof QueueLimits, number | boolean> | undefined,
): keyof QueueLimits | undefined {
  return (["total", "user", "session"] as const).find((limit) => !room?.[limit]);
}
