import { DatabaseUnavailableError } from "../../errors.ts";
import type { SqliteConnection } from "./connection.ts";
import { unavailable } from "./failure.ts";
import type { WalSync } from "./wal-sync.ts";
import type { Writer } from "./writer.ts";
import type { Write, Written } from "./writes.ts";

/**
 * Everything that is written goes through here: writes that share commits, and transactions that are alone. SQLite has one
 * writer at a time, and none may wait for another inside SQLite: that would hold up the event loop.
 */
export class GroupCommit {
  readonly #connection: SqliteConnection;
  readonly #disk: WalSync | undefined;
  readonly #writer: Writer;
  /** Writes that came while somebody is alone, or waits to be. */
  #waiting: (() => void)[] = [];
  /** Those who want a transaction of their own, in the order in which they came. */
  readonly #turns: (() => void)[] = [];
  #isAlone = false;
  /** Writes that the writer has. */
  #underWay = 0;
  /** Why the last write failed, and why the last transaction that was alone did: each by its own connection. */
  readonly #failures: { shared?: unknown; alone?: unknown } = {};
  #lastRunAt = 0;

  /**
   * @param connection - what {@link alone} works with
   * @param disk - absent for a database in memory
   * @param writer - what everything else is written by
   */
  constructor(connection: SqliteConnection, disk: WalSync | undefined, writer: Writer) {
    this.#connection = connection;
    this.#disk = disk;
    this.#writer = writer;
  }

  /** Why the last commit failed, where the database could not take it: a full disk, a file that is gone. */
  get failure(): DatabaseUnavailableError | undefined {
    const { shared, alone } = this.#failures;
    return [shared, alone].find((failure) => failure instanceof DatabaseUnavailableError);
  }

  /** Milliseconds since somebody last had something to commit. */
  get idleFor(): number {
    return performance.now() - this.#lastRunAt;
  }

  /**
   * Writes inside a transaction, which it may share with others.
   *
   * @param durable - whether the commit must survive a power cut, not only a crash of the process
   * @returns what came of it, once it is committed
   * @throws {DatabaseUnavailableError} when the disk is full or the file cannot be written
   */
  async run<TWrite extends Write>(write: TWrite, durable: boolean): Promise<Written[TWrite["kind"]]> {
    if (this.#isAlone || this.#turns.length > 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#underWay++;
    try {
      const written = await this.#writer.write(write, durable);
      delete this.#failures.shared;
      return written as Written[TWrite["kind"]];
    } catch (error) {
      this.#failures.shared = error;
      throw error;
    } finally {
      this.#lastRunAt = performance.now();
      this.#underWay--;
      this.#next();
    }
  }

  /**
   * Runs `work`, which may be asynchronous, in a transaction of its own. Nothing else is committed meanwhile. It must wait
   * for nothing but the database.
   *
   * @returns what `work` returned, once it survives a power cut
   */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      try {
        const result = await this.#transaction(work);
        await this.#disk?.sync();
        delete this.#failures.alone;
        return result;
      } catch (error) {
        const failure = unavailable(error);
        this.#failures.alone = failure;
        throw failure;
      }
    });
  }

  /** Does something between two commits. */
  between(work: () => void): Promise<void> {
    return this.#inTurn(work);
  }

  /** Resolves once nothing waits and nothing is under way. */
  async settled(): Promise<void> {
    while (this.#isAlone || this.#underWay > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Does something while nothing else is committed. */
  async #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      this.#turns.push(resolve);
      this.#next();
    });
    try {
      return await work();
    } finally {
      this.#isAlone = false;
      this.#next();
    }
  }

  /** Once nothing is under way, hands over to who wants to be alone, else to all writes that wait. */
  #next(): void {
    if (this.#isAlone || this.#underWay > 0) return;
    const turn = this.#turns.shift();
    if (turn) {
      this.#isAlone = true;
      turn();
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#underWay = waiting.length;
    for (const go of waiting) go();
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
}
