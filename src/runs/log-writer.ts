import { setTimeout as wait } from "node:timers/promises";
import type { Database } from "../db/database.ts";
import type { LogWrite, RunSnapshot } from "../db/records.ts";
import { DatabaseUnavailableError, RunLostError } from "../errors.ts";
import type { Message } from "../events/messages.ts";
import type { LogEntry } from "./run-log.ts";

/** How the log is written. */
export interface LogWriterOptions {
  /** Milliseconds that an event may wait for the next write. Checkpoints and ends do not wait. */
  interval: number;
  /** The same for background runs, whose readers wait for the write. */
  backgroundInterval: number;
  /** Bytes of events in one write. */
  batchBytes: number;
  /** Bytes of events of one run that may wait; then the run waits too. */
  bufferBytes: number;
  /** Milliseconds for which a write is tried again while the database is away. */
  retryFor: number;
}

/** What {@link LogWriter} does where nothing else is said. */
export const defaultLogWriterOptions: LogWriterOptions = {
  interval: 200,
  backgroundInterval: 20,
  batchBytes: 1024 * 1024,
  bufferBytes: 1024 * 1024,
  retryFor: 30_000,
};

/**
 * The part of its interval for which a run's first event waits at least: who has waited so long goes along with who has
 * waited the whole of it. Events that have just come wait on, for a row of the log costs more than what is in it.
 */
const leastWait = 0.75;

/**
 * Writes the logs of all runs of this process, one batch at a time: runs that end while a batch is on its way share the next,
 * so that the more there is to do, the fewer commits an event costs.
 */
export class LogWriter {
  readonly #db: Database;
  readonly #options: LogWriterOptions;
  /** Whether no other process can be at the runs of this one. */
  readonly isOurs: () => boolean;
  /** Those that are written next. */
  readonly #ready = new Set<RunWriter>();
  /** Those whose events may wait, each with the time until which they may. */
  readonly #waiting = new Map<RunWriter, number>();
  #timer: NodeJS.Timeout | undefined;
  /** When the timer goes off. */
  #due = Number.POSITIVE_INFINITY;
  #writing = false;

  constructor(db: Database, options: LogWriterOptions, isOurs: () => boolean) {
    this.#db = db;
    this.#options = options;
    this.isOurs = isOurs;
  }

  /** The writer of one run. */
  open(
    { background, ...run }: WrittenRun & { background: boolean },
    hooks: Pick<RunWriterHooks, "onStored" | "onFailed">,
  ): RunWriter {
    const interval = background ? this.#options.backgroundInterval : this.#options.interval;
    return new RunWriter(run, {
      ...hooks,
      interval,
      bufferBytes: this.#options.bufferBytes,
      onDirty: (writer, urgent, since) => {
        if (urgent) {
          this.#waiting.delete(writer);
          this.#ready.add(writer);
          this.#writeNow();
        } else if (!this.#waiting.has(writer) && !this.#ready.has(writer)) {
          const due = since + interval;
          this.#waiting.set(writer, due);
          this.#wakeAt(due);
        }
      },
    });
  }

  #wakeAt(due: number): void {
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, due - performance.now()));
  }

  /** Has those written that have waited long enough. */
  #wake(): void {
    this.#due = Number.POSITIVE_INFINITY;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [writer, due] of this.#waiting) {
      if (due - (1 - leastWait) * writer.interval > now) next = Math.min(next, due);
      else {
        this.#waiting.delete(writer);
        this.#ready.add(writer);
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.#wakeAt(next);
    this.#writeNow();
  }

  #writeNow(): void {
    if (this.#writing || this.#ready.size === 0) return;
    this.#writing = true;
    void this.#writeAll().finally(() => {
      this.#writing = false;
      // What came in since the last look, while nobody was writing any more.
      this.#writeNow();
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#ready.size > 0) {
      const batch: { writer: RunWriter; write: LogWrite }[] = [];
      const runs = new Set<string>();
      let bytes = 0;
      for (const writer of this.#ready) {
        if (bytes > this.#options.batchBytes) break;
        // A run that was let go of and taken up again has two writers. In one batch, the fence of one would let both pass.
        if (runs.has(writer.runId)) continue;
        runs.add(writer.runId);
        this.#ready.delete(writer);
        const write = writer.take();
        bytes += write.events.reduce((sum, event) => sum + event.length, 0);
        batch.push({ writer, write });
      }
      await this.#write(batch);
    }
  }

  async #write(batch: readonly { writer: RunWriter; write: LogWrite }[], again = false): Promise<void> {
    try {
      const lost = await this.#persist(
        batch.map(({ write }) => write),
        again,
      );
      for (const { writer, write } of batch) {
        const isLost = lost.has(writer.runId);
        const index = write.firstIndex + write.events.length - 1;
        if (!isLost && write.events.length > 0) {
          this.#db.signals().publish({ kind: "log", runId: writer.runId, index });
        }
        writer.settle(isLost ? new RunLostError(writer.runId) : undefined);
      }
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      // One run's events may be at fault, and the others must not fail with it. A database that is away is nobody's fault.
      const forAll = batch.length === 1 || failure instanceof DatabaseUnavailableError;
      if (!forAll) for (const one of batch) await this.#write([one], true);
      else for (const { writer } of batch) writer.settle(failure);
    }
  }

  /** Writes a batch, and again while the database is away: what was stored already is not stored twice. */
  async #persist(writes: readonly LogWrite[], before: boolean): Promise<ReadonlySet<string>> {
    const since = performance.now();
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#db.writeLogs(writes, { again: before || attempt > 0 });
      } catch (error) {
        const isLate = performance.now() - since > this.#options.retryFor;
        if (isLate || !(error instanceof DatabaseUnavailableError)) throw error;
        await wait(Math.min(1000, 50 * 2 ** attempt));
      }
    }
  }
}

/** Which run a writer writes, and the places of its next event and message: a run may be taken up again. */
type WrittenRun = Pick<LogWrite, "runId" | "sessionId" | "attempt" | "firstIndex" | "firstPosition">;

/** What the end of a run changes beside it. */
export type RunEnd = Pick<LogWrite, "stateChange" | "replaces" | "text">;

interface Waiter {
  resolve: () => void;
  reject: (error: Error) => void;
}

interface RunWriterHooks {
  /** Milliseconds that an event may wait. */
  interval: number;
  bufferBytes: number;
  /** @param since - when what waits began to wait, by `performance.now()` */
  onDirty: (writer: RunWriter, urgent: boolean, since: number) => void;
  onStored: (index: number) => void;
  /** Called when nothing more can be written of the run. */
  onFailed: (error: Error) => void;
}

/** What one run has yet to write. At most one write of a run is on its way, so that its log has no gap. */
export class RunWriter {
  readonly #run: WrittenRun;
  readonly #hooks: RunWriterHooks;
  #events: string[] = [];
  #bytes = 0;
  #firstIndex: number;
  #messages: Message[] = [];
  #firstPosition: number;
  #row: RunSnapshot | undefined;
  #end: RunEnd = {};
  #waiters: Waiter[] = [];
  #onItsWay: { waiters: Waiter[]; lastIndex: number } | undefined;
  /** What came while a write was on its way: since when, and whether it may not wait. */
  #again: { since: number; urgent: boolean } | undefined;
  #failure: Error | undefined;

  constructor(run: WrittenRun, hooks: RunWriterHooks) {
    this.#run = run;
    this.#firstIndex = run.firstIndex;
    this.#firstPosition = run.firstPosition;
    this.#hooks = hooks;
  }

  get runId(): string {
    return this.#run.runId;
  }

  get interval(): number {
    return this.#hooks.interval;
  }

  /** Whether so much waits that the run should wait too. */
  get full(): boolean {
    return this.#bytes > this.#hooks.bufferBytes;
  }

  /** Takes an event; it is written within the interval. */
  add(entry: LogEntry): void {
    this.#events.push(entry.json);
    this.#bytes += entry.json.length;
    this.#dirty(false);
  }

  /**
   * Writes all that waits now, together with the run's row.
   *
   * @throws {RunLostError} when the run is no longer this process's
   */
  checkpoint(row: RunSnapshot, messages: readonly Message[], end: RunEnd = {}): Promise<void> {
    this.#row = row;
    this.#messages.push(...messages);
    this.#end = end;
    return this.flush();
  }

  /** Writes all that waits now. */
  flush(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#dirty(true);
    });
  }

  /** Hands over what waits. */
  take(): LogWrite {
    const write: LogWrite = {
      ...this.#run,
      events: this.#events,
      firstIndex: this.#firstIndex,
      messages: this.#messages,
      firstPosition: this.#firstPosition,
      ...(this.#row && { row: this.#row }),
      ...this.#end,
    };
    this.#firstIndex += this.#events.length;
    this.#firstPosition += this.#messages.length;
    this.#onItsWay = { waiters: this.#waiters, lastIndex: this.#firstIndex - 1 };
    this.#events = [];
    this.#bytes = 0;
    this.#messages = [];
    this.#row = undefined;
    this.#end = {};
    this.#waiters = [];
    return write;
  }

  /** Says how the write ended that {@link take} handed over. */
  settle(failure: Error | undefined): void {
    const { waiters, lastIndex } = this.#onItsWay!;
    this.#onItsWay = undefined;
    if (failure) {
      // What follows would leave a gap, so nothing more is written of this run.
      this.#failure = failure;
      this.#hooks.onFailed(failure);
      for (const { reject } of [...waiters, ...this.#waiters]) reject(failure);
      this.#waiters = [];
      return;
    }
    this.#hooks.onStored(lastIndex);
    for (const { resolve } of waiters) resolve();
    const again = this.#again;
    this.#again = undefined;
    if (again) this.#hooks.onDirty(this, again.urgent, again.since);
  }

  #dirty(urgent: boolean): void {
    if (this.#failure) return;
    const since = performance.now();
    if (!this.#onItsWay) this.#hooks.onDirty(this, urgent, since);
    else if (!this.#again) this.#again = { since, urgent };
    else if (urgent) this.#again.urgent = true;
  }
}
