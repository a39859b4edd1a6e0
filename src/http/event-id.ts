import { isUnsureEnd } from "../runs/log-standing.ts";
import type { LogEntry } from "../runs/run-log.ts";

/**
 * The `id:` of an event's frame: its index. An end that may stand in the place of an event that was sent has `:end` behind
 * it, so that a reader which comes back is known to have read the end, and not that event.
 */
export function eventId(entry: LogEntry): string {
  return isUnsureEnd(entry) ? `${entry.index}:end` : `${entry.index}`;
}
