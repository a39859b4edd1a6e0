import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";
import type { Database } from "../db/database.ts";

/** Milliseconds between two looks for old traces. */
const every = 10 * 60_000;

/** Traces that are deleted in one transaction, and the milliseconds until the next. */
const atOnce = 200;
const pause = 50;

/** Deletes traces that are older than they may be, a few at a time. */
export class TraceRetention {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #keepFor: number;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isSweeping = false;

  /** @param keepFor - milliseconds */
  constructor(db: Database, logger: Logger, keepFor: number) {
    this.#db = db;
    this.#logger = logger;
    this.#keepFor = keepFor;
  }

  /** Looks at once, and again from time to time. Called again, it does nothing. */
  start(): void {
    if (this.#timer || this.#stop.signal.aborted) return;
    this.#timer = setInterval(() => void this.#sweep(), Math.min(every, Math.max(1000, this.#keepFor)));
    this.#timer.unref();
    void this.#sweep();
  }

  /** Looks no more. */
  stop(): void {
    clearInterval(this.#timer);
    this.#stop.abort();
  }

  async #sweep(): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    const { signal } = this.#stop;
    try {
      while (!signal.aborted) {
        const gone = await this.#db.traces().sweep(Date.now() - this.#keepFor, atOnce);
        if (gone < atOnce) break;
        await wait(pause, undefined, { signal, ref: false }).catch(() => undefined);
      }
    } catch (error) {
      if (!signal.aborted)
        this.#logger.warn({ err: error }, "old traces were not deleted; tried again later");
    } finally {
      this.#isSweeping = false;
    }
  }
}
