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
  #syncing = false;

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
      if (this.#waiting.length === 0 && !this.#syncing) setImmediate(() => this.flush());
      this.#waiting.push({ run: work, durable, resolve, reject });
    });
  }

  /** Commits what waits, now. */
  flush(): void {
    const works = this.#waiting;
    if (works.length === 0) return;
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
    this.#syncing = true;
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
      .finally(() => {
        this.#syncing = false;
        this.flush();
      });
  }
}
