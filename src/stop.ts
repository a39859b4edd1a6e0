import type { Logger } from "pino";

/** What stops with a process. */
interface StopParts {
  logger: Logger;
  /** What is under way, for the log. */
  underWay: () => object;
  /** Lets what is under way end, then closes all. */
  close: () => Promise<void>;
  /** Has what is under way end now. */
  hurry: () => void;
}

/** Milliseconds in which a second signal is the first one again: npm passes on a Ctrl-C that came to us as well. */
const sameSignal = 1000;

/** How a process of the server ends: in order when it is first told to, at once when it is told again. */
export class Stop {
  readonly #parts: StopParts;
  #since: number | undefined;

  constructor(parts: StopParts) {
    this.#parts = parts;
  }

  /** Lets what is under way end, and then the process. Called again, it does nothing. */
  begin(signal?: NodeJS.Signals): void {
    if (this.#since !== undefined) return;
    this.#since = performance.now();
    const { logger, underWay, close } = this.#parts;
    logger.info({ ...(signal && { signal }), ...underWay() }, "stopping");
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, "stopping failed");
        process.exit(1);
      },
    );
  }

  /** What is under way gets no more time. */
  hurry(signal?: NodeJS.Signals): void {
    const { logger, underWay, hurry } = this.#parts;
    logger.warn({ ...(signal && { signal }), ...underWay() }, "stopping at once");
    hurry();
  }

  /**
   * Stops at SIGTERM and SIGINT.
   *
   * @returns a function that leaves them to others again
   */
  onSignals(): () => void {
    const stop = (signal: NodeJS.Signals) => {
      if (this.#since === undefined) this.begin(signal);
      else if (performance.now() - this.#since >= sameSignal) this.hurry(signal);
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
    return () => {
      // Once a signal has come, the next one is ours too: without a listener it would kill the process.
      if (this.#since !== undefined) return;
      process.off("SIGTERM", stop);
      process.off("SIGINT", stop);
    };
  }
}
