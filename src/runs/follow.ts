import type { LogCursor, StoredEvents } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import { LogGoneError } from "../errors.ts";
import type { RunEventBody } from "../events/run-events.ts";
import { isUnderWay, startIn } from "./log-standing.ts";
import type { LogEntry, RunLog } from "./run-log.ts";

/**
 * Follows the log of a run that is under way here: what is in memory, or a page of the database for a reader that is
 * further behind, then what comes. A reader is a cursor: one that does not ask for more costs nothing.
 *
 * @param after - index of the last event that the reader has; -1 for none
 * @param elsewhere - gives what follows an index, once another process tells the run's end; without, the reader has to come
 *   back as soon as another may be at the run
 * @returns stretches of the log in order, without gaps; ends after the last event
 * @throws {LogGoneError} when what the reader needs was deleted meanwhile
 */
export async function* follow(
  log: RunLog,
  store: Store,
  after: number,
  elsewhere?: (after: number) => AsyncGenerator<readonly LogEntry[], void, void>,
): AsyncGenerator<readonly LogEntry[], void, void> {
  let cursor = after;
  while (true) {
    const entries = log.after(cursor);
    if (!entries) {
      const runId = log.envelope.run_id;
      const stretches = storedStretches(await store.runs.events(runId, cursor), {
        runId,
        after: cursor,
      });
      if (stretches.length === 0) throw new LogGoneError(runId, "deleted");
      for (const stretch of stretches) {
        cursor = stretch.at(-1)!.index;
        yield stretch;
      }
    } else if (!log.maySend) {
      if (!elsewhere) return;
      if (log.ended) return yield* elsewhere(cursor);
      await log.changed();
    } else if (entries.length > 0) {
      cursor = entries.at(-1)!.index;
      yield entries;
    } else if (log.ended) {
      if (log.isLeft && elsewhere) yield* elsewhere(cursor);
      return;
    } else {
      await log.changed();
    }
  }
}

/** What is stored of a run's log after an index. Ends where that does, whether the run has ended or not. */
export async function* followStored(
  store: Store,
  runId: string,
  after: number,
): AsyncGenerator<readonly LogEntry[], void, void> {
  const standing = (await store.runs.standings([runId])).get(runId);
  if (!standing) throw new LogGoneError(runId, "deleted");
  let cursor = isUnderWay(standing) ? after : startIn(standing, after);
  while (true) {
    const stretches = storedStretches(await store.runs.events(runId, cursor), { runId, after: cursor });
    if (stretches.length === 0) return;
    for (const stretch of stretches) {
      cursor = stretch.at(-1)!.index;
      yield stretch;
    }
  }
}

/**
 * What a reader is given of a page of the stored log: stretches, one at a time, none of them empty. None at the log's end.
 *
 * @throws {LogGoneError} when there is more, but it does not follow on what the reader has
 */
export function storedStretches(pages: readonly StoredEvents[], { runId, after }: LogCursor): LogEntry[][] {
  const stretches: LogEntry[][] = [];
  let cursor = after;
  for (const { firstIndex, events } of pages) {
    if (firstIndex > cursor + 1) throw new LogGoneError(runId, "swept");
    const entries = events
      .map(({ event, json }, i) => ({ index: firstIndex + i, event: event as RunEventBody["event"], json }))
      .filter(({ index }) => index > cursor);
    cursor = entries.at(-1)?.index ?? cursor;
    if (entries.length > 0) stretches.push(entries);
  }
  return stretches;
}
