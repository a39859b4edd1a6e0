import type { RunEvent } from "../events/run-events.ts";
import { RunCursor, readFrame } from "./run-cursor.ts";
import type { StreamReader } from "./stream.ts";
import type { ApiRequest } from "./transport.ts";
import type { Fields } from "./wire-names.ts";

/** Ended runs that are remembered, so that none of their events is given twice. */
const mostRemembered = 1000;

/** What is known of the runs of a session while they are followed. */
export class SessionReader implements StreamReader<RunEvent> {
  readonly #sessionId: string;
  readonly #query: Fields;
  readonly #runs = new Map<string, RunCursor>();
  #lastId: string | undefined;

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
      headers: this.#lastId === undefined ? {} : { "last-event-id": this.#lastId },
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
    if (!cursor.take(event)) return undefined;
    this.#lastId = `${event.run_id}:${event.event_index}`;
    return event;
  }

  #forget(): void {
    for (const [runId, { hasEnded }] of this.#runs) {
      if (this.#runs.size <= mostRemembered) return;
      if (hasEnded) this.#runs.delete(runId);
    }
  }
}
