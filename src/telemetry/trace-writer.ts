import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import type { Database } from "../db/database.ts";
import type { TraceWrite } from "../db/traces.ts";
import { DatabaseUnavailableError } from "../errors.ts";
import { Drops } from "./drops.ts";

/** What has spans to write. */
export interface TraceSource {
  /** Hands over what it has since it was last asked. */
  take(): TraceWrite;
  /** About how many bytes that is. */
  readonly bytes: number;
}

/** A trace that waits to be written. */
interface Waiting {
  write: TraceWrite;
  bytes: number;
}

/** Milliseconds that a trace may wait for others. */
const interval = 250;

/** Traces in one write. On SQLite other writes wait for so long. */
const atOnce = 50;

/** Bytes of spans that may wait while the database is away. */
const mostBytes = 32 * 1024 * 1024;

/** Writes traces to the database, some at a time and behind the runs: what it cannot write it drops and counts. */
export class TraceWriter {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #fresh = new Set<TraceSource>();
  #collecting = false;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #giveUp = new AbortController();
  readonly #drops: Drops;

  constructor(db: Database, logger: Logger) {
    this.#db = db;
    this.#logger = logger;
    this.#drops = new Drops(logger, "spans were dropped");
    db.beforeClose(() => this.close());
  }

  /** How many spans were not written, since the start. */
  get dropped(): number {
    return this.#drops.count;
  }

  /** Whether there is room for more bytes. */
  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= mostBytes;
  }

  /** Notes that so many bytes are held, or no longer. */
  hold(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Counts spans that nobody will find. */
  drop(spans: number): void {
    this.#drops.add(spans);
  }

  /** Takes something that has spans to write. */
  add(source: TraceSource): void {
    this.#fresh.add(source);
    if (this.#collecting) return;
    this.#collecting = true;
    // Soon, but behind the run's end: spans are many objects, and what they are written as is one.
    setImmediate(() => this.#collect());
  }

  #collect(): void {
    this.#collecting = false;
    for (const source of this.#fresh) {
      const { bytes } = source;
      this.#waiting.push({ write: source.take(), bytes });
    }
    this.#fresh.clear();
    // Not `unref`: a program that has nothing else to do waits for its traces.
    if (this.#writing === undefined) this.#timer ??= setTimeout(() => this.#start(), interval);
  }

  /**
   * Writes what waits, and waits for it. Called again meanwhile, it waits for the same end.
   *
   * @param limit - milliseconds, after which the rest is dropped
   */
  close(limit = 5000): Promise<void> {
    this.#closing ??= this.#writeRest(limit).finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #writeRest(limit: number): Promise<void> {
    const timer = setTimeout(() => this.#giveUp.abort(), limit);
    this.#collect();
    while (this.#waiting.length > 0 || this.#writing) {
      if (!this.#writing) this.#start();
      await this.#writing;
      this.#collect();
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    clearTimeout(timer);
    this.#drops.tellRest();
    this.#giveUp = new AbortController();
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
      if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#start(), interval);
    });
  }

  async #writeAll(): Promise<void> {
    // What comes meanwhile waits for the next time.
    const all = this.#waiting;
    this.#waiting = [];
    for (let i = 0; i < all.length; ) {
      const batch = new Map<string, TraceWrite>();
      let bytes = 0;
      for (; i < all.length && batch.size < atOnce; i++) {
        const { write } = all[i]!;
        const key = `${write.runId} ${write.traceId}`;
        // Spans that came after their run's end: not in the same statement as the run.
        if (batch.has(key)) break;
        batch.set(key, write);
        bytes += all[i]!.bytes;
      }
      await this.#write([...batch.values()]);
      this.#bytes -= bytes;
    }
  }

  async #write(batch: readonly TraceWrite[]): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#db.traces().write(batch);
        return;
      } catch (error) {
        const isAway = error instanceof DatabaseUnavailableError;
        if (!isAway && batch.length > 1) {
          // One of them may be at fault, and the others must not be lost with it.
          for (const one of batch) await this.#write([one]);
          return;
        }
        if (!isAway || this.#giveUp.signal.aborted) {
          this.#logger.warn({ err: error }, "traces were not written");
          this.drop(batch.reduce((sum, { totalSpans }) => sum + totalSpans, 0));
          return;
        }
        const { signal } = this.#giveUp;
        await wait(Math.min(2000, 100 * 2 ** attempt), undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
