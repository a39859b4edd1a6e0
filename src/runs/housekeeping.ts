import type { Logger } from "pino";
import type { Housekeeping } from "../db/housekeeping.ts";

/** Milliseconds between two rounds. */
const interval = 60_000;

/** Milliseconds for which an idempotency key is kept. */
export const idempotencyKeptFor = 24 * 60 * 60 * 1000;

/** Deletes what is kept for a time only, a round a minute. */
export class HousekeepingRounds {
  readonly #parts: { housekeeping: () => Housekeeping; logRetention: number; logger: Logger };
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  /** @param parts - `logRetention`: milliseconds for which the log of a run is kept after its end */
  constructor(parts: { housekeeping: () => Housekeeping; logRetention: number; logger: Logger }) {
    this.#parts = parts;
  }

  /** Begins the rounds. Called again, it does nothing. */
  start(): void {
    if (this.#timer) return;
    this.#timer = setInterval(() => this.#begin(), interval).unref();
    this.#begin();
  }

  /** Ends them, once the transaction under way is done. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearInterval(this.#timer);
    await this.#round;
  }

  #begin(): void {
    const { housekeeping, logRetention, logger } = this.#parts;
    const { signal } = this.#stop;
    this.#round = this.#round.then(async () => {
      try {
        const swept = await housekeeping().sweepLogs(Date.now() - logRetention, signal);
        if (swept > 0) logger.info({ rows: swept }, "deleted logs of runs that ended long ago");
        await housekeeping().sweepKeys(Date.now() - idempotencyKeptFor, signal);
      } catch (error) {
        logger.warn({ err: error }, "old logs could not be deleted; the next round tries again");
      }
    });
  }
}
