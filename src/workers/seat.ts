import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import type { WorkerProcess } from "./worker-process.ts";

/** Milliseconds after which a worker counts as one that works: its end is then no part of a series. */
const steady = 10_000;

/** Milliseconds until the next start after the second early end in a row; it doubles with each. */
const firstPause = 500;
const longestPause = 30_000;

/** One of the workers that there are to be: its process, and the next one when that has ended. */
export class Seat {
  readonly #number: number;
  readonly #start: () => WorkerProcess;
  readonly #logger: Logger;
  readonly #retired = new AbortController();
  #process: WorkerProcess | undefined;

  constructor(number: number, start: () => WorkerProcess, logger: Logger) {
    this.#number = number;
    this.#start = start;
    this.#logger = logger;
  }

  /**
   * Starts its first process. From then on there is always one.
   *
   * @returns once that one listens
   */
  async begin(): Promise<void> {
    const first = this.#start();
    this.#process = first;
    await first.listening;
    this.#tell(first);
    void this.#keep(first);
  }

  /** Asks its process, where that listens. @param within - milliseconds */
  async ask(...question: Parameters<WorkerProcess["line"]["ask"]>): Promise<unknown> {
    return this.#process?.isListening ? this.#process.line.ask(...question) : undefined;
  }

  /** A process that ends has no next one any more. */
  retire(): void {
    this.#retired.abort();
  }

  /** Has its process end. @throws {Error} when that does not end in its order */
  async stop(): Promise<void> {
    this.retire();
    await this.#process?.stop();
  }

  async #keep(first: WorkerProcess): Promise<void> {
    let process = first;
    for (let early = 0; ; ) {
      const since = performance.now();
      const how = await process.ended;
      if (this.#retired.signal.aborted) return;
      early = performance.now() - since < steady ? early + 1 : 0;
      const wait = early < 2 ? 0 : Math.min(longestPause, firstPause * 2 ** (early - 2));
      const about = { worker: this.#number, worker_pid: process.pid, ended_with: how };
      this.#logger.error({ ...about, pause_ms: wait }, "a worker has ended, and is started again");
      await pause(wait, undefined, { signal: this.#retired.signal }).catch(() => undefined);
      if (this.#retired.signal.aborted) return;
      process = this.#start();
      this.#process = process;
      const next = process;
      process.listening.then(
        () => this.#tell(next),
        (error: unknown) => {
          if (this.#retired.signal.aborted) return;
          this.#logger.error({ err: error, worker: this.#number }, "a worker could not start");
        },
      );
    }
  }

  #tell({ pid }: WorkerProcess): void {
    this.#logger.info({ worker: this.#number, worker_pid: pid }, "a worker listens");
  }
}
