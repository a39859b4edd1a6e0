/** How long to wait before the next try. All times are in seconds. */
export interface Wait {
  /** Tries that failed before, without anything gained in between. */
  failures: number;
  /** Before the second try. */
  first: number;
  /** The longest that the client waits by itself. */
  most: number;
  /** What the server asks for at least. */
  atLeast?: number | undefined;
}

/** Seconds: twice as many after each failure, and a random part, so that not all who were cut off come back at once. */
export function delayOf({ failures, first, most, atLeast = 0 }: Wait): number {
  const grown = Math.min(most, first * 2 ** failures);
  return Math.max(grown / 2, atLeast) + (Math.random() * grown) / 2;
}

/** Waits. @throws the signal's reason once it is aborted */
export function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
