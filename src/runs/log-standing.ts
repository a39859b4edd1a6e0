import type { LogStanding } from "../db/records.ts";
import type { LogEntry } from "./run-log.ts";

/** Whether events are still to come. A paused run's log goes on too, but only once somebody asks for it. */
export function isUnderWay({ status }: Pick<LogStanding, "status">): boolean {
  return status === "pending" || status === "running";
}

/**
 * Whether an end may stand in the place of an event that was sent: the last events of a foreground run that a crash ended
 * were sent, but not stored, and the end has the index of the first of them.
 */
export function isUnsureEnd({ event, json }: Pick<LogEntry, "event" | "json">): boolean {
  if (event === "RunCancelled") return true;
  return (
    event === "RunError" && (JSON.parse(json) as { error_type?: string }).error_type === "server_stopped"
  );
}

/**
 * Where a reader begins in a log that nothing is added to. One that may be ahead of the log, or have another event in the
 * place of its end, still has to learn how the run ended.
 *
 * @param after - index of the last event that the reader has
 * @returns index after which it reads on
 */
export function startIn({ status, errorType, lastIndex }: LogStanding, after: number): number {
  const isUnsure = status === "cancelled" || errorType === "server_stopped";
  return isUnsure && after >= lastIndex ? lastIndex - 1 : Math.min(after, lastIndex);
}

/** Whether events that a reader has not had are no longer kept. */
export function isSwept({ firstIndex, lastIndex }: LogStanding, after: number): boolean {
  return after < lastIndex && (firstIndex === undefined || firstIndex > after + 1);
}
