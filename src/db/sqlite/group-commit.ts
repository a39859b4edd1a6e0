import type { SqliteConnection } from "./connection.ts";
import type { WalSync } from "./wal-sync.ts";

interface Work {
  run: () => unknown;
  durable: boolean;
  resolve: (value: never) => void;
  reject: (reason: unknown) => void;
}

/**
 * Commits what comes in one turn of the event loop together, and what comes while the disk is waited for with the next
 * commit. The more there is to do, the less a commit costs each.
 */
export class GroupCommit {
  readonly #connection: SqliteConnection;
  readonly #disk: WalSync | undefined;
  #waiting: Work[] = [];
  /** While it is, what comes in waits for the next commit. */
  #held = false;

  /** @param disk - absent for a database in memory */
  constructor(connection: SqliteConnection, disk: WalSync | undefined) {
    this.#connection = connection;
    this.#disk = disk;
  }

  /**
   * Runs `work` inside a transaction.
   *
   * @param durable - whether the commit must survive a power cut, not only a crash of the process
   * @returns what `work` returned, once it is committed
   */
  run<T>(work: () => T, durable: boolean): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#waiting.length === 0 && !this.#held) setImmediate(() => this.#flush());
      this.#waiting.push({ run: work, durable, resolve, reject });
    });
  }

  /**
   * Runs `work`, which may be asynchronous, in a transaction of its own. Nothing else is committed meanwhile. It must wait
   * for nothing but the database.
   *
   * @returns what `work` returned, once it survives a power cut
   */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#held) await new Promise((resolve) => setImmediate(resolve));
    this.#held = true;
    try {
      this.#connection.begin();
      const result = await work().catch((error: unknown) => {
        this.#connection.rollback();
        throw error;
      });
      this.#connection.commit();
      await this.#disk?.sync();
      return result;
    } finally {
      this.#release();
    }
  }

  /** Resolves once nothing waits and nothing is under way. */
  async settled(): Promise<void> {
    while (this.#held || this.#waiting.length > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Commits what waits, now, unless something else is at it: then that does it at its end. */
  #flush(): void {
    const works = this.#waiting;
    if (works.length === 0 || this.#held) return;
    this.#waiting = [];
    try {
      this.#answer(works, this.#commit(works));
    } catch (error) {
      if (works.length === 1) works[0]!.reject(error);
      // One of them is to blame, and only that one may fail.
      else for (const work of works) this.#alone(work);
    }
  }

  #alone(work: Work): void {
    try {
      this.#answer([work], this.#commit([work]));
    } catch (error) {
      work.reject(error);
    }
  }

  #commit(works: readonly Work[]): unknown[] {
    this.#connection.begin();
    try {
      const results = works.map((work) => work.run());
      this.#connection.commit();
      return results;
    } catch (error) {
      this.#connection.rollback();
      throw error;
    }
  }

  #answer(works: readonly Work[], results: readonly unknown[]): void {
    const afterSync: (() => void)[] = [];
    const afterFailedSync: ((reason: unknown) => void)[] = [];
    for (const [i, work] of works.entries()) {
      const resolve = () => work.resolve(results[i] as never);
      if (!this.#disk || !work.durable) resolve();
      else {
        afterSync.push(resolve);
        afterFailedSync.push(work.reject);
      }
    }
    if (!this.#disk || afterSync.length === 0) return;
    this.#held = true;
    this.#disk
      .sync()
      .then(
        () => {
          for (const resolve of afterSync) resolve();
        },
        (error: unknown) => {
          for (const reject of afterFailedSync) reject(error);
        },
      )
      .finally(() => this.#release());
  }

  #release(): void {
    this.#held = false;
    this.#flush();
  }
}
