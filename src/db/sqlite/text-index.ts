import type { GroupCommit } from "./group-commit.ts";

/** Rows that are indexed in one transaction: it must not hold up other writes for long. */
const batch = 100;

/** How often waiting rows are looked for, in milliseconds. */
const interval = 1000;

/** Rows that are indexed each time: few while runs are under way, many while there is nothing else to do. */
const whileBusy = 200;
const whileIdle = 5000;

/** Milliseconds without a commit after which there is nothing else to do. */
const idleAfter = 200;

/**
 * Indexes the words of what was said a while after it was said, many rows at once. Done inside the commit of each run, it
 * would cost more than all else that is written of a run.
 */
export class TextIndex {
  readonly #commit: GroupCommit;
  readonly #timer: NodeJS.Timeout;
  #working: Promise<void> | undefined;

  constructor(commit: GroupCommit) {
    this.#commit = commit;
    this.#timer = setInterval(() => {
      // A failure is the next search's to tell: it tries the same.
      void this.#round().catch(() => undefined);
    }, interval);
    this.#timer.unref();
  }

  /** Resolves once everything that was said before the call can be found. */
  async upToDate(): Promise<void> {
    // A round that is under way may end before everything is indexed.
    while (this.#working) await this.#working;
    await this.#once(Number.POSITIVE_INFINITY);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#working?.catch(() => undefined);
  }

  async #round(): Promise<void> {
    await this.#once(this.#commit.idleFor > idleAfter ? whileIdle : whileBusy);
  }

  async #once(most: number): Promise<void> {
    this.#working ??= this.#index(most).finally(() => {
      this.#working = undefined;
    });
    await this.#working;
  }

  async #index(most: number): Promise<void> {
    for (let done = 0; done < most; done += batch) {
      const indexed = await this.#commit.run({ kind: "index", most: batch }, false);
      if (indexed < batch) return;
    }
  }
}
