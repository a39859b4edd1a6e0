/** What limits are counted by. On PostgreSQL all nodes count together; a SQLite file has one server, which counts for itself. */
export interface Limits {
  /**
   * Does something once, at a rate that may be used up at once and grows back evenly.
   *
   * @param rate - how often in how many milliseconds
   * @returns whether it may be done, how often it may be done beside, and after how many milliseconds it may be done again
   *   (where it may not) or as often as ever (where it may)
   */
  take(key: string, rate: Rate): Promise<RateState>;

  /**
   * Takes one of a number of places.
   *
   * @param others - what takes places beside those that are held; asked for once the place is held, so that of two who
   *   come at once one sees the other
   * @returns what gives it back; undefined where all are taken
   */
  hold(key: string, places: number, others?: () => Promise<number>): Promise<Release | undefined>;

  /** Adds to what was used on a day. */
  addTokens(key: string, day: number, tokens: number): Promise<void>;

  /** What was used on a day so far. */
  tokens(key: string, day: number): Promise<number>;

  /** Lets go of all places that are held here. */
  close(): Promise<void>;
}

export interface Rate {
  readonly times: number;
  readonly per: number;
}

export interface RateState {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly wait: number;
}

/** Gives a place back. */
export type Release = () => void;

/**
 * What the rate says of a moment: the generic cell rate algorithm. All that is kept is until when the rate is used up, if
 * nothing more is done.
 *
 * @param usedUntil - after this time too, where it was allowed
 */
export function rateState({ times, per }: Rate, now: number, usedUntil: number, allowed: boolean): RateState {
  const each = per / times;
  const remaining = Math.max(0, Math.floor((now + per - usedUntil) / each + 1e-6));
  return allowed
    ? { allowed, remaining, wait: Math.max(0, usedUntil - now) }
    : { allowed, remaining: 0, wait: Math.max(0, usedUntil + each - per - now) };
}
