import type { LogStanding } from "../db/records.ts";

/** Whether events are still to come. A paused run's log goes on too, but only once somebody asks for it. */
export function isUnderWay({ status }: Pick<LogStanding, "status">): boolean {
  return status === "pending" || status === "running";
}

/**
 * Where a reader begins in a log that nothing is added to. The last events of a foreground run that a crash ended were
 * sent, but not stored: its reader may be ahead of the log, and still has to learn how the run ended.
 *
 * @param after - index of the last event that the reader has
 * @returns index after which it reads on
 */
export function startIn({ status, errorType, lastIndex }: LogStanding, after: number): number {
  const isCrash = errorType === "server_stopped" && after >= lastIndex;
  const isCancelledByCrash = status === "cancelled" && after > lastIndex;
  return isCrash || isCancelledByCrash ? lastIndex - 1 : Math.min(after, lastIndex);
}

/** Whether events that a reader has not had are no longer kept. */
export function isSwept({ firstIndex, lastIndex }: LogStanding, after: number): boolean {
  return after < lastIndex && (firstIndex === undefined || firstIndex > after + 1);
}
