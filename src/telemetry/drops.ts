import type { Logger } from "pino";

/** Milliseconds between two lines: what fails all the time must not fill the log. */
const tellEvery = 10_000;

/** Counts spans that are lost on one way, and says so in the log. */
export class Drops {
  readonly #logger: Logger;
  readonly #message: string;
  #count = 0;
  #told = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** @param message - of its lines in the log */
  constructor(logger: Logger, message: string) {
    this.#logger = logger;
    this.#message = message;
  }

  /** How many there were, since the start. */
  get count(): number {
    return this.#count;
  }

  /** Counts some, and tells of all that are not told, unless it told a short time ago. @param about - fields of the line */
  add(spans: number, about: object = {}): void {
    this.#count += spans;
    const now = performance.now();
    if (now - this.#toldAt < tellEvery) return;
    this.#toldAt = now;
    this.#tell(about);
  }

  /** Tells of those that are not told yet, if there are any: nothing comes after them. */
  tellRest(about: object = {}): void {
    if (this.#count > this.#told) this.#tell(about);
  }

  #tell(about: object): void {
    this.#logger.warn(
      { ...about, spans: this.#count - this.#told, spans_in_all: this.#count },
      this.#message,
    );
    this.#told = this.#count;
  }
}
