import type { BatchWriter, Outcome } from "./batch-writer.ts";
import { errorOf } from "./failure.ts";
import type { Write } from "./writes.ts";

/** Commits writes, together with others that come at about the same time, in the order in which they come. */
export interface Writer {
  /**
   * @param durable - whether it must survive a power cut, not only a crash of the process
   * @returns what came of it, once it is committed
   */
  write(write: Write, durable: boolean): Promise<unknown>;
  /** To be called when nothing is under way. */
  close(): Promise<void>;
}

/** Who waits for a write. */
export interface Asker {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

/** Tells who waits for a write what became of it. */
export function settle(asker: Asker, outcome: Outcome): void {
  if ("failure" in outcome) asker.reject(errorOf(outcome.failure));
  else asker.resolve(outcome.value);
}

/** Writes a database in memory, which no other thread can reach and no power cut leaves. */
export class LocalWriter implements Writer {
  readonly #batches: BatchWriter;
  #waiting: { write: Write; asker: Asker }[] = [];

  constructor(batches: BatchWriter) {
    this.#batches = batches;
  }

  write(write: Write): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#commit());
      this.#waiting.push({ write, asker: { resolve, reject } });
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #commit(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const outcomes = this.#batches.commit(waiting.map(({ write }) => write));
    for (const [i, { asker }] of waiting.entries()) settle(asker, outcomes[i]!);
  }
}
