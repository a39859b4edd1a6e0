/** Milliseconds after which a run that waits looks again: what it waits for may end in another process. */
const pollInterval = 1000;

/** Foreground runs that wait until the earlier runs of their session have ended. */
export class Turns {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Tells those who wait for a session that one of its runs has ended. */
  freed(sessionId: string): void {
    for (const look of this.#waiting.get(sessionId) ?? []) look();
  }

  /** Resolves when it may be the turn of a run of the session, or the signal is aborted. */
  next(sessionId: string, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(sessionId) ?? new Set();
    this.#waiting.set(sessionId, waiting.add(resolve));
    const timer = setTimeout(resolve, pollInterval);
    const onAbort = () => resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) resolve();
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(sessionId);
    });
  }
}
