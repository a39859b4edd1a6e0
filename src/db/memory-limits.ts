import { type Limits, type Rate, type RateState, type Release, rateState } from "./limits.ts";

/** Keys that are remembered before old ones are looked for. */
const sweepAt = 10_000;

/** Counts for one process. */
export class MemoryLimits implements Limits {
  readonly #usedUntil = new Map<string, number>();
  readonly #held = new Map<string, number>();
  readonly #tokens = new Map<string, { day: number; tokens: number }>();
  #sweepAt = sweepAt;

  take(key: string, rate: Rate): Promise<RateState> {
    const now = performance.now();
    const before = Math.max(this.#usedUntil.get(key) ?? 0, now);
    const after = before + rate.per / rate.times;
    const allowed = after - now <= rate.per + 1e-6;
    if (allowed) {
      this.#usedUntil.set(key, after);
      if (this.#usedUntil.size > this.#sweepAt) this.#sweep(now);
    }
    return Promise.resolve(rateState(rate, now, allowed ? after : before, allowed));
  }

  async hold(key: string, places: number, others?: () => Promise<number>): Promise<Release | undefined> {
    const held = (this.#held.get(key) ?? 0) + 1;
    if (held > places) return undefined;
    this.#held.set(key, held);
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#held.get(key) ?? 1) - 1;
      if (left > 0) this.#held.set(key, left);
      else this.#held.delete(key);
    };
    try {
      if (!others || held + (await others()) <= places) return release;
    } catch (error) {
      release();
      throw error;
    }
    release();
    return undefined;
  }

  addTokens(key: string, day: number, tokens: number): Promise<void> {
    const known = this.#tokens.get(key);
    const before = known?.day === day ? known.tokens : 0;
    this.#tokens.set(key, { day, tokens: before + tokens });
    if (this.#tokens.size > sweepAt) {
      for (const [other, one] of this.#tokens) if (one.day < day) this.#tokens.delete(other);
    }
    return Promise.resolve();
  }

  tokens(key: string, day: number): Promise<number> {
    const known = this.#tokens.get(key);
    return Promise.resolve(known?.day === day ? known.tokens : 0);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #sweep(now: number): void {
    for (const [key, until] of this.#usedUntil) if (until <= now) this.#usedUntil.delete(key);
    // Where as many are in use, looking again with every new one would cost more than they do.
    this.#sweepAt = Math.max(sweepAt, 2 * this.#usedUntil.size);
  }
}
