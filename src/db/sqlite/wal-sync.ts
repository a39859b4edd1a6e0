import { closeSync, fdatasync, openSync } from "node:fs";

/**
 * Waits until what is in SQLite's write-ahead log is on the disk, as `synchronous = FULL` does inside every commit, but on
 * a thread of Node's pool: the event loop goes on meanwhile.
 */
export class WalSync {
  readonly #file: number;

  constructor(databasePath: string) {
    this.#file = openSync(`${databasePath}-wal`, "r");
  }

  /** Resolves once every commit that was made before the call survives a power cut. */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#file, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): void {
    closeSync(this.#file);
  }
}
