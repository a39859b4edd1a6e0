import { DatabaseUnavailableError } from "../../errors.ts";
import type { SqliteConnection } from "./connection.ts";
import { unavailable } from "./failure.ts";
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
  /** Those who want a transaction of their own, in the order in which they came. */
  readonly #turns: (() => void)[] = [];
  /** While it is, what comes in waits for the next commit. */
  #held = false;
  #failure: DatabaseUnavailableError | undefined;
  #lastRunAt = 0;

  /** @param disk - absent for a database in memory */
  constructor(connection: SqliteConnection, disk: WalSync | undefined) {
    this.#connection = connection;
    this.#disk = disk;
  }

  /** Why the last commit failed, where the database could not take it: a full disk, a file that is gone. */
  get failure(): DatabaseUnavailableError | undefined {
    return this.#failure;
  }

  /** Milliseconds since somebody last had something to commit. */
  get idleFor(): number {
    return performance.now() - this.#lastRunAt;
  }

  /**
   * Runs `work` inside a transaction.
   *
   * @param durable - whether the commit must survive a power cut, not only a crash of the process
   * @returns what `work` returned, once it is committed
   * @throws {DatabaseUnavailableError} when the disk is full or the file cannot be written
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
    await this.#turn();
    try {
      const result = await this.#transaction(work);
      await this.#disk?.sync();
      this.#failure = undefined;
      return result;
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#release();
    }
  }

  /** Does something between two commits. */
  async between(work: () => void): Promise<void> {
    await this.#turn();
    try {
      work();
    } finally {
      this.#release();
    }
  }

  /** Resolves once nothing waits and nothing is under way. */
  async settled(): Promise<void> {
    while (this.#held || this.#waiting.length > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  async #turn(): Promise<void> {
    if (!this.#held) this.#held = true;
    else await new Promise<void>((resolve) => this.#turns.push(resolve));
  }

  /** Hands over to who waits for a turn, else commits what waits. */
  #release(): void {
    const next = this.#turns.shift();
    if (next) {
      next();
      return;
    }
    this.#held = false;
    this.#flush();
  }

  async #transaction<T>(work: () => Promise<T>): Promise<T> {
    this.#connection.begin();
    try {
      const result = await work();
      this.#connection.commit();
      return result;
    } catch (error) {
      this.#connection.rollback();
      throw error;
    }
  }

  #flush(): void {
    const works = this.#waiting;
    if (works.length === 0 || this.#held) return;
    this.#waiting = [];
    try {
      this.#answer(works, this.#commit(works));
    } catch (error) {
      const failure = this.#failed(error);
      // One of them is to blame, and only that one may fail; unless it is the disk.
      const all = works.length === 1 || failure instanceof DatabaseUnavailableError;
      if (all) for (const work of works) work.reject(failure);
      else this.#singly(works);
    }
  }

  /** Commits each by itself, and answers all that succeed at once: the disk is waited for once. */
  #singly(works: readonly Work[]): void {
    const done: Work[] = [];
    const results: unknown[] = [];
    for (const work of works) {
      try {
        results.push(...this.#commit([work]));
        done.push(work);
      } catch (error) {
        work.reject(this.#failed(error));
      }
    }
    if (done.length > 0) this.#answer(done, results);
  }

  #commit(works: readonly Work[]): unknown[] {
    this.#connection.begin();
    try {
      const results = works.map((work) => work.run());
      this.#connection.commit();
      this.#failure = undefined;
      return results;
    } catch (error) {
      this.#connection.rollback();
      throw error;
    }
  }

  #failed(error: unknown): unknown {
    const failure = unavailable(error);
    if (failure instanceof DatabaseUnavailableError) this.#failure = failure;
    return failure;
  }

  #answer(works: readonly Work[], results: readonly unknown[]): void {
    this.#lastRunAt = performance.now();
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
          const failure = this.#failed(error);
          for (const reject of afterFailedSync) reject(failure);
        },
      )
      .finally(() => this.#release());
  }
}
