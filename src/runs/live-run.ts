import type { StartedRun } from "../agent/runner.ts";
import type { RunText, StateChange, StoredRun } from "../db/records.ts";
import { ownerWord, searchableText } from "../db/search.ts";
import type { Store } from "../db/store.ts";
import { RunLostError } from "../errors.ts";
import { applyEvent, emptyFold } from "../events/fold.ts";
import type { JsonObject } from "../events/json.ts";
import type { Message } from "../events/messages.ts";
import type { FoldedRun, Run, RunInput } from "../events/run.ts";
import type { RunEvent, RunEventBody, TerminalEventBody } from "../events/run-events.ts";
import { follow } from "./follow.ts";
import type { LogWriter, RunWriter } from "./log-writer.ts";
import { type LogEntry, RunLog } from "./run-log.ts";

/** What a run is from its first moment on. */
export interface RunIdentity {
  runId: string;
  sessionId: string;
  agentId: string;
  agentName: string | undefined;
  userId: string | undefined;
  /** Whether it is stored before it is shown: another process may go on with it. */
  background: boolean;
  attempt: number;
  input: RunInput;
  metadata: JsonObject;
  /** Unix time in milliseconds. */
  createdAt: number;
}

/** A run that is under way in this process: its log, its fold, and what stops it. */
export class LiveRun implements StartedRun {
  readonly identity: RunIdentity;
  readonly log: RunLog;
  readonly #store: Store;
  readonly #writer: RunWriter;
  readonly #fold: FoldedRun = emptyFold();
  /** The run's own messages; the agent loop adds to them. */
  readonly messages: Message[] = [];
  #storedMessages = 0;
  readonly #abort = new AbortController();
  readonly #clockStart = performance.now();
  readonly #ended = Promise.withResolvers<Run>();
  #firstTokenAt: number | undefined;

  constructor(identity: RunIdentity, store: Store, writer: LogWriter) {
    this.identity = identity;
    this.#store = store;
    const { runId, sessionId, agentId, agentName, attempt, background } = identity;
    this.log = new RunLog(
      {
        agent_id: agentId,
        ...(agentName === undefined ? {} : { agent_name: agentName }),
        run_id: runId,
        session_id: sessionId,
      },
      { storedFirst: background },
    );
    this.#writer = writer.open(
      { runId, sessionId, attempt, background },
      {
        onStored: (index) => this.log.stored(index),
        onFailed: (error) => this.abort(error),
      },
    );
    // Nobody has to wait for a run: that nobody does is no unhandled failure.
    this.#ended.promise.catch(() => undefined);
  }

  get runId(): string {
    return this.identity.runId;
  }

  get sessionId(): string {
    return this.identity.sessionId;
  }

  /** Aborted when the run must end before its time; the reason is why. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What the log tells so far. */
  get fold(): Readonly<FoldedRun> {
    return this.#fold;
  }

  /** Ends the run as soon as it can be. The first reason counts. */
  abort(reason: Error): void {
    this.#abort.abort(reason);
  }

  /** Takes an event into the log. */
  append(event: RunEventBody): void {
    if (
      event.event === "RunContent" ||
      event.event === "ReasoningContentDelta" ||
      event.event === "ToolCallStarted"
    ) {
      this.#firstTokenAt ??= performance.now();
    }
    const entry = this.log.entryOf(event);
    applyEvent(this.#fold, event, entry.index);
    this.#writer.add(entry);
    this.log.add(entry);
  }

  /** Whether so much of the log waits to be written that the run should wait too. */
  get full(): boolean {
    return this.#writer.full;
  }

  /** Writes what waits. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Stores the run as it stands. It goes on meanwhile; a failure ends it. */
  checkpoint(): void {
    // The row is written later, and by then the run may be further: a checkpoint is what it was here.
    const row = { fold: structuredClone(this.#fold), ended: false, at: Date.now() };
    this.#writer.checkpoint(row, this.#newMessages()).catch((error: Error) => this.abort(error));
  }

  /** Times of the run up to now. */
  timing(): { time_to_first_token?: number; duration: number } {
    return {
      ...(this.#firstTokenAt === undefined
        ? {}
        : { time_to_first_token: (this.#firstTokenAt - this.#clockStart) / 1000 }),
      duration: (performance.now() - this.#clockStart) / 1000,
    };
  }

  /**
   * Ends the run: its last event is stored before anybody is sent it.
   *
   * @throws when it could not be stored; then the run is still without an end
   */
  async end(event: TerminalEventBody, stateChange?: StateChange): Promise<void> {
    const entry = this.log.entryOf(event);
    // What is asked of the run meanwhile is answered as it was: nothing has ended that is not stored.
    const ended = { ...this.#fold };
    applyEvent(ended, event, entry.index);
    this.#writer.add(entry);
    await this.#writer.checkpoint({ fold: ended, ended: true, at: Date.now() }, this.#newMessages(), {
      ...(stateChange && { stateChange }),
      text: this.#text(ended),
    });
    Object.assign(this.#fold, ended);
    this.#close(entry);
    this.#ended.resolve(this.toRun());
  }

  /** Ends a run whose end cannot be stored: its readers learn of it, and whoever waits for it gets the error. */
  endUnstored(event: TerminalEventBody, error: Error): void {
    this.#close(this.log.entryOf(event));
    this.#ended.reject(error);
  }

  /** Somebody else ended the run while it waited here: its readers are sent what is stored of it. */
  endedElsewhere(stored: StoredRun | undefined): void {
    this.log.end();
    if (stored) this.#ended.resolve(stored.run);
    else this.#ended.reject(new RunLostError(this.runId));
  }

  /** The run as it stands. */
  toRun(): Run {
    const { runId, sessionId, agentId, agentName, userId, input, metadata, createdAt } = this.identity;
    const seconds = Math.floor(createdAt / 1000);
    return {
      ...this.#fold,
      run_id: runId,
      session_id: sessionId,
      agent_id: agentId,
      ...(agentName === undefined ? {} : { agent_name: agentName }),
      ...(userId === undefined ? {} : { user_id: userId }),
      input,
      metadata,
      messages: this.messages,
      created_at: seconds,
      updated_at: Math.max(seconds, Math.floor(Date.now() / 1000)),
    };
  }

  ended(): Promise<Run> {
    return this.#ended.promise;
  }

  /** The log from an index on: first what is there, then what comes. */
  follow(after: number): AsyncGenerator<readonly LogEntry[], void, void> {
    return follow(this.log, this.#store, after);
  }

  async *events(): AsyncGenerator<RunEvent, void, void> {
    for await (const entries of this.follow(-1)) for (const entry of entries) yield this.log.toEvent(entry);
  }

  /** What the session is found by: what was asked, and what was answered. */
  #text(ended: FoldedRun): RunText {
    const { input, userId } = this.identity;
    const answer = ended.status === "completed" ? ended.content : "";
    const said = typeof answer === "string" ? answer : JSON.stringify(answer);
    return { owner: ownerWord(userId), text: searchableText(`${input.input_content}\n${said}`) };
  }

  #newMessages(): Message[] {
    const fresh = this.messages.slice(this.#storedMessages);
    this.#storedMessages = this.messages.length;
    return fresh;
  }

  #close(last: LogEntry): void {
    this.log.add(last);
    this.log.end();
  }
}
