import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import type { Database } from "../db/database.ts";
import { openPrincipal } from "../db/principal.ts";
import type { LogStanding } from "../db/records.ts";
import type { Store } from "../db/store.ts";
import { DatabaseUnavailableError, LogGoneError } from "../errors.ts";
import { follow, storedStretches } from "./follow.ts";
import { FollowedLog } from "./followed-log.ts";
import type { LiveRun } from "./live-run.ts";
import { isUnderWay, startIn } from "./log-standing.ts";
import type { LogEntry } from "./run-log.ts";
import { TailReader } from "./tail-reader.ts";

/** Milliseconds between two looks at all logs that are followed: a signal may be lost. */
const pollInterval = 1000;

/** Events that a reader may be behind to be served with all others. */
const nearEnd = 64;

/** After which events a run may have ended or paused. */
const mayEnd: ReadonlySet<string> = new Set(["RunCompleted", "RunError", "RunCancelled", "RunPaused"]);

/** What {@link LogWatch} needs. */
interface Parts {
  db: Database;
  logger: Logger;
  /** A run that is under way here. */
  live: (runId: string) => Pick<LiveRun, "log" | "fold"> | undefined;
  /** Milliseconds by which a stored log may be behind what was sent of it. */
  storedWithin: number;
}

/**
 * Follows the logs of runs wherever they are under way: here, on another node, or nowhere yet. A signal says that a log
 * has grown; one query a second for all that are followed finds what no signal told.
 */
export class LogWatch {
  readonly #parts: Parts;
  readonly #followed = new Map<string, FollowedLog>();
  readonly #closed = new AbortController();
  readonly #tails: TailReader;
  #unsubscribe: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #polling = false;
  #isAway = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#tails = new TailReader((wanted) => parts.db.storeFor(openPrincipal).runs.pages(wanted));
  }

  /** Begins to listen. Called again, it does nothing. */
  open(): void {
    const { db, logger } = this.#parts;
    this.#unsubscribe ??= db.signals().subscribe({
      signal: (signal) => {
        if (signal.kind === "log") this.#followed.get(signal.runId)?.hear(signal.index);
      },
      resync: () => void this.#poll(),
      outage: (error) =>
        logger.warn(
          { err: error },
          "signals between servers do not get through; until they do, each looks once a second",
        ),
    });
  }

  /** Ends what follows, so that readers come back elsewhere. */
  close(): void {
    this.#closed.abort();
    this.#unsubscribe?.();
    clearInterval(this.#timer);
    for (const log of this.#followed.values()) log.wake();
  }

  /**
   * How a run's log stands. A reader of a run that another node streams may be ahead of what is stored: then it is waited
   * for, for as long as that node may take to store it.
   *
   * @param after - index of the last event that the reader has
   * @throws {LogGoneError} when there is no such run
   */
  async standing(runId: string, after: number): Promise<LogStanding> {
    const { live, storedWithin } = this.#parts;
    const until = performance.now() + 2 * storedWithin;
    while (true) {
      const run = live(runId);
      if (run) return { status: run.fold.status, firstIndex: 0, lastIndex: run.log.length - 1 };
      const standing = (await this.#look([runId])).get(runId);
      if (!standing) throw new LogGoneError(runId, "deleted");
      if (after <= standing.lastIndex || !isUnderWay(standing) || performance.now() >= until) return standing;
      await wait(storedWithin / 4);
    }
  }

  /**
   * Follows a run's log: what is there, then what comes, each event once and in order. Ends after the last event of a run
   * that ended or paused, also where it was not here that it did.
   *
   * @param after - index of the last event that the reader has; -1 for none
   * @param signal - ends it while it waits
   * @throws {LogGoneError} when the run or what follows of its log was deleted
   */
  async *follow(
    store: Store,
    runId: string,
    after: number,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly LogEntry[], void, void> {
    const stop = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    const log = this.#join(runId);
    let cursor = after;
    let hasRead = false;
    let isEmpty = false;
    try {
      while (!stop.aborted) {
        const live = this.#parts.live(runId)?.log;
        if (live && !live.ended) {
          let last: string | undefined;
          for await (const entries of follow(live, store, cursor)) {
            cursor = entries.at(-1)!.index;
            last = entries.at(-1)!.event;
            hasRead = true;
            yield entries;
          }
          if ((last && mayEnd.has(last)) || !live.ended) return;
          // It came to its end elsewhere, and here only to that of its log.
        }
        if (log.isGone) throw new LogGoneError(runId, "deleted");
        const { standing } = log;
        if (!standing) {
          await this.#patiently(() => this.#lookAt(log), stop);
        } else if (cursor < standing.lastIndex) {
          // A page of the reader's own handle says whether it may read at all; then those who follow are served together.
          const isNear = hasRead && standing.lastIndex - cursor <= nearEnd;
          const pages = await this.#patiently(
            () => (isNear ? this.#tails.page(runId, cursor) : store.runs.events(runId, cursor)),
            stop,
          );
          if (!pages) return;
          const stretches = storedStretches(pages, { runId, after: cursor });
          // It was there a moment ago.
          if (stretches.length === 0 && isEmpty) throw new LogGoneError(runId, "swept");
          isEmpty = stretches.length === 0;
          for (const stretch of stretches) {
            cursor = stretch.at(-1)!.index;
            hasRead = true;
            yield stretch;
          }
          const last = stretches.at(-1)?.at(-1);
          if (!last || mayEnd.has(last.event)) await this.#patiently(() => this.#lookAt(log), stop);
        } else if (isUnderWay(standing)) {
          await log.changed(stop);
        } else {
          const start = hasRead ? cursor : startIn(standing, cursor);
          if (start >= standing.lastIndex) return;
          cursor = start;
        }
      }
    } finally {
      this.#leave(log);
    }
  }

  #join(runId: string): FollowedLog {
    const log = this.#followed.get(runId) ?? new FollowedLog(runId);
    log.readers++;
    this.#followed.set(runId, log);
    if (!this.#timer) {
      this.#timer = setInterval(() => void this.#poll(), pollInterval);
      this.#timer.unref();
    }
    return log;
  }

  #leave(log: FollowedLog): void {
    if (--log.readers > 0) return;
    this.#followed.delete(log.runId);
    if (this.#followed.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Looks at everything that is followed. */
  async #poll(): Promise<void> {
    if (this.#polling || this.#followed.size === 0) return;
    this.#polling = true;
    const logs = [...this.#followed.values()];
    try {
      const standings = await this.#look(logs.map(({ runId }) => runId));
      for (const log of logs) log.see(standings.get(log.runId));
      this.#isAway = false;
    } catch (error) {
      if (!this.#isAway) this.#parts.logger.warn({ err: error }, "the logs that are followed cannot be read");
      this.#isAway = true;
    } finally {
      this.#polling = false;
    }
  }

  async #lookAt(log: FollowedLog): Promise<void> {
    log.see((await this.#look([log.runId])).get(log.runId));
  }

  /** Its readers were let in before: what they may see is looked at when they read. */
  #look(runIds: readonly string[]): Promise<Map<string, LogStanding>> {
    return this.#parts.db.storeFor(openPrincipal).runs.standings(runIds);
  }

  /** Asks the database, and again while it is away. Undefined when the reader has gone meanwhile. */
  async #patiently<T>(work: () => Promise<T>, stop: AbortSignal): Promise<T | undefined> {
    while (!stop.aborted) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof DatabaseUnavailableError)) throw error;
        await wait(pollInterval, undefined, { signal: stop }).catch(() => undefined);
      }
    }
    return undefined;
  }
}
