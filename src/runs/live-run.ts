import type { StartedRun } from "../agent/runner.ts";
import type { RunSnapshot, RunText, StoredRun } from "../db/records.ts";
import { ownerWord, searchableText } from "../db/search.ts";
import type { Store } from "../db/store.ts";
import { LeaseLostError, RunCancelledError, RunLostError } from "../errors.ts";
import { applyEvent, emptyFold } from "../events/fold.ts";
import { newId } from "../events/ids.ts";
import type { JsonObject } from "../events/json.ts";
import type { Message } from "../events/messages.ts";
import type { FoldedRun, Run, RunInput, RunLineage } from "../events/run.ts";
import type { RunEvent, RunEventBody, RunPaused, TerminalEventBody } from "../events/run-events.ts";
import type { RunTelemetry } from "../telemetry/telemetry.ts";
import { isJson, type KeptContext, type RunCheckpoint } from "./checkpoint.ts";
import { follow, followStored } from "./follow.ts";
import type { LogWriter, RunEnd, RunWriter } from "./log-writer.ts";
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
  lineage?: RunLineage;
  /** The span that asked for it, as W3C's `traceparent` header has it. */
  traceparent?: string;
  /** When it began to be accepted, by `performance.now()`; absent where it had to wait, or was begun before. */
  since?: number;
}

/** What a run is that goes on, not begins. */
export interface Resumed {
  /** The fold as of the last checkpoint. */
  fold: FoldedRun;
  /** The messages up to there. */
  messages: Message[];
  nextIndex: number;
  /** Calls that had begun, and whose results are not known. */
  begun: Iterable<string>;
  /** Milliseconds that it was under way before. */
  activeBefore: number;
  firstTokenAfter: number | undefined;
}

/** A run that is under way in this process: its log, its fold, and what stops it. */
export class LiveRun implements StartedRun {
  readonly identity: RunIdentity;
  readonly log: RunLog;
  /** Listens to the run once it is under way; undefined where nothing does. */
  telemetry: RunTelemetry | undefined;
  readonly #store: Store;
  readonly #writer: RunWriter;
  readonly #isOurs: () => boolean;
  readonly #fold: FoldedRun;
  /** The run's own messages; the agent loop adds to them. */
  readonly messages: Message[];
  /** Ids of calls that have begun and not ended. */
  readonly begun: Set<string>;
  /** What a checkpoint keeps beside the fold and the messages; without, the run cannot be taken up again. */
  kept: KeptContext | undefined;
  /** Index of the last event before those that whoever started or continued it is shown; -1 for all. */
  readonly shownAfter: number;
  #storedMessages: number;
  #isReleased = false;
  readonly #abort = new AbortController();
  #clockStart = performance.now();
  readonly #activeBefore: number;
  readonly #ended = Promise.withResolvers<Run>();
  readonly #checkpointed = Promise.withResolvers<void>();
  /** Milliseconds after its start. */
  #firstTokenAfter: number | undefined;

  /** @param resumed - what there is of it already */
  constructor(identity: RunIdentity, store: Store, writer: LogWriter, resumed?: Resumed) {
    this.identity = identity;
    this.#store = store;
    this.#fold = resumed?.fold ?? emptyFold();
    this.messages = resumed?.messages ?? [];
    this.#storedMessages = this.messages.length;
    this.begun = new Set(resumed?.begun);
    this.#activeBefore = resumed?.activeBefore ?? 0;
    this.#firstTokenAfter = resumed?.firstTokenAfter;
    const firstIndex = resumed?.nextIndex ?? 0;
    // Its `RunContinued` is stored already.
    this.shownAfter = Math.max(-1, firstIndex - 2);
    const { runId, sessionId, agentId, agentName, attempt, background } = identity;
    this.log = new RunLog(
      {
        agent_id: agentId,
        ...(agentName === undefined ? {} : { agent_name: agentName }),
        run_id: runId,
        session_id: sessionId,
      },
      { storedFirst: background, firstIndex, isOurs: writer.isOurs },
    );
    this.#isOurs = writer.isOurs;
    this.#writer = writer.open(
      { runId, sessionId, attempt, background, firstIndex, firstPosition: this.#storedMessages },
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

  /** What names the run in every line of the server's log. */
  get logIds(): { run_id: string; session_id: string; trace_id?: string } {
    const { runId, sessionId } = this.identity;
    return {
      run_id: runId,
      session_id: sessionId,
      ...(this.telemetry && { trace_id: this.telemetry.traceId }),
    };
  }

  /** Whether no event is sent before it is stored. */
  get storedFirst(): boolean {
    return this.identity.background;
  }

  /** Milliseconds that the run has been under way in all; pauses do not count. */
  get activeFor(): number {
    return this.#activeBefore + performance.now() - this.#clockStart;
  }

  /** Its time runs from now on: it may have waited for its turn. */
  begins(): void {
    this.#clockStart = performance.now();
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
    if (reason instanceof LeaseLostError) this.log.cut();
    this.#abort.abort(reason);
  }

  /** Cancels the run when its caller's signal is aborted, or has been. Returns what lets go of the signal. */
  cancelOn(signal: AbortSignal | undefined): () => void {
    const cancel = () => this.abort(new RunCancelledError("The caller aborted the run."));
    if (signal?.aborted) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    return () => signal?.removeEventListener("abort", cancel);
  }

  /**
   * Makes sure that no other process can be at this run. Asked right before something happens: a process that was frozen
   * does not know it otherwise.
   *
   * @throws {LeaseLostError}
   */
  mustBeOurs(): void {
    if (!this.#isOurs()) throw new LeaseLostError();
  }

  /**
   * Takes an event into the log.
   *
   * @throws {LeaseLostError} when another process may be at the run by now
   */
  append(event: RunEventBody): void {
    this.mustBeOurs();
    if (
      event.event === "RunContent" ||
      event.event === "ReasoningContentDelta" ||
      // It may have had nothing but calls.
      event.event === "ModelRequestCompleted"
    ) {
      this.#firstTokenAfter ??= this.activeFor;
    }
    if (event.event === "ToolCallStarted") this.begun.add(event.tool.tool_call_id);
    if (event.event === "ToolCallCompleted") this.begun.delete(event.tool.tool_call_id);
    const entry = this.log.entryOf(event);
    applyEvent(this.#fold, event, entry.index);
    this.#writer.add(entry);
    this.log.add(entry);
    this.telemetry?.event(event);
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
    const row: RunSnapshot = { fold: structuredClone(this.#fold), ended: false, at: Date.now() };
    // Who cannot be taken up pays nothing for it.
    if (this.storedFirst) row.checkpoint = this.#checkpoint();
    this.#writer
      .checkpoint(row, this.#newMessages())
      .then(this.#checkpointed.resolve, (error: Error) => this.abort(error));
  }

  /** Resolves once a checkpoint of it is stored; never, where it comes to none. */
  get checkpointed(): Promise<void> {
    return this.#checkpointed.promise;
  }

  /** Times of the run up to now. */
  timing(): { time_to_first_token?: number; duration: number } {
    return {
      ...(this.#firstTokenAfter === undefined ? {} : { time_to_first_token: this.#firstTokenAfter / 1000 }),
      duration: this.activeFor / 1000,
    };
  }

  /**
   * Ends the run: its last event is stored before anybody is sent it.
   *
   * @throws when it could not be stored; then the run is still without an end
   */
  async end(event: TerminalEventBody, change: Omit<RunEnd, "text"> = {}): Promise<void> {
    const entry = this.log.entryOf(event);
    // What is asked of the run meanwhile is answered as it was: nothing has ended that is not stored.
    const ended = { ...this.#fold };
    applyEvent(ended, event, entry.index);
    this.#writer.add(entry);
    await this.#writer.checkpoint({ fold: ended, ended: true, at: Date.now() }, this.#newMessages(), {
      ...change,
      text: this.#text(ended),
    });
    Object.assign(this.#fold, ended);
    this.telemetry?.event(event);
    this.#close(entry);
    this.#ended.resolve(this.toRun());
  }

  /**
   * Lets the run wait for people. It is no longer under way then: whoever continues it makes it anew of what is stored.
   *
   * @throws when it could not be stored
   */
  async pause(event: RunPaused): Promise<void> {
    const entry = this.log.entryOf(event);
    const paused = structuredClone(this.#fold);
    applyEvent(paused, event, entry.index);
    this.#writer.add(entry);
    const row = {
      fold: paused,
      ended: false,
      at: Date.now(),
      checkpoint: this.#checkpoint(),
      pauseId: newId(),
    };
    await this.#writer.checkpoint(row, this.#newMessages());
    Object.assign(this.#fold, paused);
    this.telemetry?.event(event);
    this.#close(entry);
    this.#ended.resolve(this.toRun());
  }

  /** Ends a run whose end cannot be stored: its readers learn of it, and whoever waits for it gets the error. */
  endUnstored(event: TerminalEventBody, error: Error): void {
    this.telemetry?.endUnstored(event);
    this.#close(this.log.entryOf(event));
    this.#ended.reject(error);
  }

  /** Has a background run go on in another process, from its next checkpoint on. */
  release(): void {
    this.#isReleased = this.identity.background;
  }

  /** Whether it is to be given back at its next checkpoint. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** Another process goes on with it: its readers come back, and who waits for its end gets the reason. */
  letGo(reason: Error): void {
    this.telemetry?.letGo();
    this.log.leave();
    this.#ended.reject(reason);
  }

  /** Somebody else ended the run while it waited here: its readers are sent what is stored of it. */
  endedElsewhere(stored: StoredRun | undefined): void {
    this.telemetry?.letGo();
    this.log.leave();
    if (stored) this.#ended.resolve(stored.run);
    else this.#ended.reject(new RunLostError(this.runId));
  }

  /** The run as it stands. */
  toRun(): Run {
    const { runId, sessionId, agentId, agentName, userId, input, metadata, createdAt, lineage } =
      this.identity;
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
      ...lineage,
      messages: this.messages,
      created_at: seconds,
      updated_at: Math.max(seconds, Math.floor(Date.now() / 1000)),
    };
  }

  ended(): Promise<Run> {
    return this.#ended.promise;
  }

  /**
   * The log from an index on: first what is there, then what comes.
   *
   * @param elsewhere - gives the rest where another process tells the run's end; without, what is stored of it by then
   */
  follow(
    after: number,
    elsewhere: (after: number) => AsyncGenerator<readonly LogEntry[], void, void> = (cursor) =>
      followStored(this.#store, this.runId, cursor),
  ): AsyncGenerator<readonly LogEntry[], void, void> {
    return follow(this.log, this.#store, after, elsewhere);
  }

  async *events(): AsyncGenerator<RunEvent, void, void> {
    for await (const entries of this.follow(this.shownAfter))
      for (const entry of entries) yield this.log.toEvent(entry);
  }

  /** What the session is found by: what was asked, and what was answered. */
  #text(ended: FoldedRun): RunText {
    const { input, userId } = this.identity;
    const answer = ended.status === "completed" ? ended.content : "";
    const said = typeof answer === "string" ? answer : JSON.stringify(answer);
    return { owner: ownerWord(userId), text: searchableText(`${input.input_content}\n${said}`) };
  }

  #checkpoint(): string {
    if (!this.kept) throw new Error(`The run ${this.runId} is not known well enough to be taken up again.`);
    const { state, dependencies, ...kept } = this.kept;
    const checkpoint: RunCheckpoint = {
      version: 1,
      session_state: state,
      ...kept,
      // What JSON cannot hold is given again, or missed.
      ...(dependencies && isJson(dependencies) && { dependencies }),
      active_ms: Math.round(this.activeFor),
      ...(this.#firstTokenAfter !== undefined && { first_token_ms: Math.round(this.#firstTokenAfter) }),
      begun: [...this.begun],
    };
    return JSON.stringify(checkpoint);
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
