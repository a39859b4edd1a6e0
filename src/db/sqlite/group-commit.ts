import type { SqliteConnection } from "./connection.ts";

interface Work {
  run: () => unknown;
  durable: boolean;
  resolve: (value: never) => void;
  reject: (reason: unknown) => void;
}

/**
 * Commits what comes in one turn of the event loop together: a commit that survives a power cut waits for the disk, and
 * ten runs that end together wait once.
 */
export class GroupCommit {
  readonly #connection: SqliteConnection;
  #waiting: Work[] = [];
  #full = true;

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
  }

  /**
   * Runs `work` inside a transaction.
   *
   * @param durable - whether the commit must survive a power cut, not only a crash of the process
   * @returns what `work` returned, once it is committed
   */
  run<T>(work: () => T, durable: boolean): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.flush());
      this.#waiting.push({ run: work, durable, resolve, reject });
    });
  }

  /** Commits what waits, now. */
  flush(): void {
    const works = this.#waiting;
    if (works.length === 0) return;
    this.#waiting = [];
    try {
      const results = this.#commit(works);
      for (const [i, work] of works.entries()) work.resolve(results[i] as never);
    } catch (error) {
      if (works.length === 1) works[0]!.reject(error);
      // One of them is to blame, and only that one may fail.
      else for (const work of works) this.#alone(work);
    }
  }

  #alone(work: Work): void {
    try {
      work.resolve(this.#commit([work])[0] as never);
    } catch (error) {
      work.reject(error);
    }
  }

  #commit(works: readonly Work[]): unknown[] {
    const full = works.some((work) => work.durable);
    if (full !== this.#full) {
      this.#connection.exec(`PRAGMA synchronous = ${full ? "FULL" : "NORMAL"}`);
      this.#full = full;
    }
    this.#connection.exec("BEGIN IMMEDIATE");
    try {
      const results = works.map((work) => work.run());
      this.#connection.exec("COMMIT");
      return results;
    } catch (error) {
      this.#connection.exec("ROLLBACK");
      throw error;
    }
  }
}
