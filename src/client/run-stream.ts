import type { RunStatus } from "../events/run.ts";
import type { RunEvent } from "../events/run-events.ts";
import { ConnectionError } from "./errors.ts";
import { RunCursor, readFrame } from "./run-cursor.ts";
import { readStream, type StreamReader } from "./stream.ts";
import type { ApiRequest, Transport } from "./transport.ts";

/** How the stream of a run begins. */
export interface RunStreamStart {
  agentId: string;
  /** Where it is known. */
  runId?: string | undefined;
  /** The request that makes or continues the run; without it a run that is there is read. */
  begin?: ApiRequest | undefined;
  /** Index of the last event that the reader has, -1 for none; undefined where it does not know. */
  after?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * The events of a run, each once and in order, however often the connection is cut. It can be read once. Leaving the loop,
 * or aborting the signal, ends the reading and leaves the run alone; `cancel()` ends the run.
 *
 * @example
 * const stream = client.agents.stream("copilot", "Summarize this thread");
 * stopButton.onclick = () => stream.cancel();
 * for await (const event of stream) {
 *   if (event.event === "RunContent") show(event.content);
 * }
 */
export class RunStream implements AsyncIterable<RunEvent> {
  readonly agentId: string;
  readonly #transport: Transport;
  readonly #reader: RunReader;
  readonly #signal: AbortSignal | undefined;
  #isRead = false;

  /** Made by the methods of a client. */
  constructor(transport: Transport, start: RunStreamStart) {
    this.agentId = start.agentId;
    this.#transport = transport;
    this.#reader = new RunReader(start);
    this.#signal = start.signal;
  }

  /** Known from the first event on. */
  get runId(): string | undefined {
    return this.#reader.runId;
  }

  /** Known from the first event on. */
  get sessionId(): string | undefined {
    return this.#reader.sessionId;
  }

  /** Index of the last event that was read: what `runs.resume` takes as `after`. -1 before the first. */
  get lastEventIndex(): number {
    return this.#reader.lastIndex;
  }

  /**
   * Cancels the run: the model and the tools stop at once, what was said so far is kept, and the stream ends with
   * `RunCancelled`. Before the first event it waits for it, for the run has no id until then.
   *
   * @throws {ConnectionError} when the stream ends without an event
   */
  async cancel(): Promise<void> {
    const runId = await this.#reader.knownRunId;
    await this.#transport.done({
      method: "POST",
      path: ["agents", this.agentId, "runs", runId, "cancel"],
      repeatable: true,
    });
  }

  [Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, void> {
    if (this.#isRead)
      throw new TypeError("The stream of a run is read once. To read it again: client.runs.resume().");
    this.#isRead = true;
    return this.#read();
  }

  async *#read(): AsyncGenerator<RunEvent, void, void> {
    try {
      yield* readStream(this.#transport, this.#reader, this.#signal);
    } finally {
      this.#reader.leave();
    }
  }
}

/** Statuses of a run that goes on. */
const underWay: ReadonlySet<string> = new Set<RunStatus>(["pending", "running"]);

/** What is known of the run while its stream is read. */
class RunReader implements StreamReader<RunEvent> {
  readonly knownRunId: Promise<string>;
  sessionId: string | undefined;
  readonly #start: RunStreamStart;
  readonly #id = Promise.withResolvers<string>();
  #cursor: RunCursor | undefined;
  #isPaused = false;
  /** Events that this answer still has, where it said so: the run is over, or paused. */
  #left: number | undefined;

  constructor(start: RunStreamStart) {
    this.#start = start;
    this.knownRunId = this.#id.promise;
    // Only who cancels waits for it.
    this.knownRunId.catch(() => undefined);
    if (start.runId === undefined || start.begin) return;
    this.#cursor = new RunCursor(start.runId, start.after);
    this.#id.resolve(start.runId);
  }

  get runId(): string | undefined {
    return this.#cursor?.runId ?? this.#start.runId;
  }

  get lastIndex(): number {
    return this.#cursor?.last ?? this.#start.after ?? -1;
  }

  get isOver(): boolean {
    return this.#cursor?.hasEnded === true;
  }

  get mayEndHere(): boolean {
    return this.#isPaused || (this.#left !== undefined && this.#left <= 0);
  }

  request(): ApiRequest {
    this.#left = undefined;
    this.#isPaused = false;
    const { agentId, begin } = this.#start;
    if (!this.#cursor) return begin!;
    return {
      method: "POST",
      path: ["agents", agentId, "runs", this.#cursor.runId, "resume"],
      body: { last_event_index: this.lastIndex },
    };
  }

  take(data: string): RunEvent | undefined {
    const read = readFrame(data);
    if ("control" in read) {
      const { event, status = "", total_events } = read.control;
      const isOver = event === "replay" && !underWay.has(status.toLowerCase());
      if (isOver) this.#left = total_events;
      return undefined;
    }
    const { event } = read;
    if (this.#left !== undefined) this.#left--;
    this.#cursor ??= new RunCursor(event.run_id, this.#start.after);
    if (!this.#cursor.take(event)) return undefined;
    this.sessionId = event.session_id;
    this.#id.resolve(event.run_id);
    // More may follow it: the log of a run that was continued has the pause too.
    this.#isPaused = event.event === "RunPaused";
    return event;
  }

  /** Nobody reads any more. */
  leave(): void {
    this.#id.reject(new ConnectionError("The stream ended before the run had an id."));
  }
}
