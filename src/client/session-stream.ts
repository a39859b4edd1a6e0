import type { RunEvent } from "../events/run-events.ts";
import { RunCursor, readFrame } from "./run-cursor.ts";
import type { StreamReader } from "./stream.ts";
import type { ApiRequest } from "./transport.ts";
import type { Fields } from "./wire-names.ts";

/** Ended runs that are remembered, so that none of their events is given twice. */
const mostRemembered = 1000;

/** Runs that a request names, each with its last event. The server reads no more. */
const mostNamed = 100;

/** What is known of the runs of a session while they are followed. */
export class SessionReader implements StreamReader<RunEvent> {
  readonly #sessionId: string;
  readonly #query: Fields;
  readonly #runs = new Map<string, RunCursor>();

  constructor(sessionId: string, query: Fields) {
    this.#sessionId = sessionId;
    this.#query = query;
  }

  /** The server says when nothing runs any more: it answers 204. */
  readonly isOver = false;
  readonly mayEndHere = false;

  request(): ApiRequest {
    return {
      method: "GET",
      path: ["sessions", this.#sessionId, "stream"],
      query: this.#query,
      headers: this.#runs.size === 0 ? {} : { "last-event-id": this.#lastEventId() },
    };
  }

  take(data: string): RunEvent | undefined {
    const read = readFrame(data);
    if ("control" in read) return undefined;
    const { event } = read;
    let cursor = this.#runs.get(event.run_id);
    if (!cursor) {
      cursor = new RunCursor(event.run_id, -1);
      this.#runs.set(event.run_id, cursor);
      this.#forget();
    }
    return cursor.take(event) ? event : undefined;
  }

  /** The last event of each run: those under way first, and then the newest that have ended. */
  #lastEventId(): string {
    const newest = [...this.#runs.values()].toReversed();
    const named = [
      ...newest.filter(({ hasEnded }) => !hasEnded),
      ...newest.filter(({ hasEnded }) => hasEnded),
    ];
    return named
      .slice(0, mostNamed)
      .map(({ runId, last }) => `${runId}:${last}`)
      .join(",");
  }

  #forget(): void {
    for (const [runId, { hasEnded }] of this.#runs) {
      if (this.#runs.size <= mostRemembered) return;
      if (hasEnded) this.#runs.delete(runId);
    }
  }
}
