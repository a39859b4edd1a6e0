import type { Store } from "../db/store.ts";
import type { RunEventBody } from "../events/run-events.ts";
import type { LogEntry, RunLog } from "./run-log.ts";

/**
 * Follows the log of a run that is under way here: what is in memory, or a page of the database for a reader that is
 * further behind, then what comes. A reader is a cursor: one that does not ask for more costs nothing.
 *
 * @param after - index of the last event that the reader has; -1 for none
 * @returns stretches of the log in order, without gaps; ends after the last event
 */
export async function* follow(
  log: RunLog,
  store: Store,
  after: number,
): AsyncGenerator<readonly LogEntry[], void, void> {
  let cursor = after;
  while (true) {
    const entries = log.after(cursor);
    if (!entries) {
      for (const stretch of await stored(store, log.envelope.run_id, cursor)) {
        cursor = stretch.at(-1)!.index;
        yield stretch;
      }
    } else if (entries.length > 0) {
      cursor = entries.at(-1)!.index;
      yield entries;
    } else if (log.ended) {
      return;
    } else {
      await log.changed();
    }
  }
}

/**
 * Reads the stored log of a run that is not under way here, page by page.
 *
 * @param after - index of the last event that the reader has; -1 for none
 */
export async function* replay(
  store: Store,
  runId: string,
  after: number,
): AsyncGenerator<readonly LogEntry[], void, void> {
  for (let cursor = after; ; ) {
    const stretches = await stored(store, runId, cursor);
    if (stretches.length === 0) return;
    for (const stretch of stretches) {
      cursor = stretch.at(-1)!.index;
      yield stretch;
    }
  }
}

/** A few stretches of the stored log, none of them empty: a reader is given one at a time. */
async function stored(store: Store, runId: string, after: number): Promise<LogEntry[][]> {
  const pages = await store.runs.events(runId, after);
  return pages
    .map(({ firstIndex, events }) =>
      events.map(({ event, json }, i) => ({
        index: firstIndex + i,
        event: event as RunEventBody["event"],
        json,
      })),
    )
    .map((entries) => entries.filter(({ index }) => index > after))
    .filter((entries) => entries.length > 0);
}
