import type { Logger } from "pino";

/**
 * Work that follows a run and that nobody waits for: naming its session, summing it up, remembering. Work for the same
 * key is done one after another. A failure is logged, and is nobody else's.
 */
export class AfterRun {
  readonly #logger: Logger;
  readonly #last = new Map<string, Promise<void>>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Begins a piece of work, or lets it wait for those before it.
   *
   * @param key - such as a session's id
   * @param name - what it is, for the log
   * @param ids - what it is about, for the log
   */
  add(key: string, name: string, ids: Record<string, string | undefined>, work: () => Promise<void>): void {
    const before = this.#last.get(key) ?? Promise.resolve();
    const done = before.then(work).catch((error: unknown) => {
      this.#logger.warn({ err: error, ...ids }, `${name} failed; the run is not affected`);
    });
    this.#last.set(key, done);
    void done.then(() => {
      if (this.#last.get(key) === done) this.#last.delete(key);
    });
  }

  /** Resolves once nothing is left to do. */
  async settled(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
