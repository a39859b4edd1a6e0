import type { StoredEnd } from "../db/records.ts";
import type { RunInput } from "../events/run.ts";
import type { MeteredRun } from "./meters.ts";
import type { TracedRun } from "./run-spans.ts";

/**
 * A run that was ended in the database, as one that is traced here: nobody who was at it tells its end.
 *
 * @param agentName - where its agent is served here
 */
export function endedRun({ row }: StoredEnd, agentName: string | undefined): TracedRun & MeteredRun {
  return {
    runId: row.run_id,
    sessionId: row.session_id,
    agentId: row.agent_id,
    agentName,
    userId: row.user_id ?? undefined,
    message: (JSON.parse(row.input) as RunInput).input_content,
    model: { id: row.model, provider: row.model_provider },
    tools: [],
    attempt: row.attempt,
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
    since: performance.now() - (Date.now() - begunAt(row)),
    createdAt: row.created_at,
    isResumed: row.attempt > 1,
  };
}

/** When the part began of which nothing is told: its first one, or what came after the last that is stored of it. */
function begunAt({ status, attempt, created_at, started_at, updated_at }: StoredEnd["row"]): number {
  if (status === "paused") return Date.now();
  return attempt > 1 ? updated_at : (started_at ?? created_at);
}
