/** Milliseconds between two lines about the same. */
const tellEvery = 10_000;

/** Keeps what fails all the time from filling the log. */
export class Seldom {
  #toldAt = Number.NEGATIVE_INFINITY;

  /** Tells, unless it told a short time ago. */
  tell(line: () => void): void {
    const now = performance.now();
    if (now - this.#toldAt < tellEvery) return;
    this.#toldAt = now;
    line();
  }
}
