import type { LogCursor, StoredEvents } from "../db/records.ts";

/** Logs that are read in one query at most. */
const atOnce = 64;

/** Reads the newest events of many logs, one query at a time: what is asked meanwhile goes with the next. */
export class TailReader {
  readonly #read: (wanted: readonly LogCursor[]) => Promise<StoredEvents[][]>;
  readonly #waiting = new Map<string, { cursor: LogCursor; page: PromiseWithResolvers<StoredEvents[]> }>();
  #reading = false;

  /** @param read - reads a page of each of several logs */
  constructor(read: (wanted: readonly LogCursor[]) => Promise<StoredEvents[][]>) {
    this.#read = read;
  }

  /** A page of a log from right after an index on. Readers that stand at the same place share it. */
  page(runId: string, after: number): Promise<StoredEvents[]> {
    const key = `${after} ${runId}`;
    let one = this.#waiting.get(key);
    if (!one) {
      one = { cursor: { runId, after }, page: Promise.withResolvers() };
      this.#waiting.set(key, one);
    }
    if (!this.#reading) void this.#readAll();
    return one.page.promise;
  }

  async #readAll(): Promise<void> {
    this.#reading = true;
    // Whoever was woken by the same signals asks in the same turn.
    await null;
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, atOnce);
      for (const [key] of batch) this.#waiting.delete(key);
      try {
        const pages = await this.#read(batch.map(([, { cursor }]) => cursor));
        for (const [i, [, { page }]] of batch.entries()) page.resolve(pages[i]!);
      } catch (error) {
        for (const [, { page }] of batch) page.reject(error);
      }
    }
    this.#reading = false;
  }
}
