/** Refusals that are written down one by one in a minute: of one client or user, and of all together. */
const budget = { each: 60, all: 3000 };

/** Clients and users that are told from others in a minute. */
const mostKeys = 1000;

/** What was refused beyond what is written down one by one. */
export interface Surplus<T> {
  /** The last of them; undefined where they are of many clients. */
  readonly last: T | undefined;
  readonly count: number;
}

interface Count<T> {
  written: number;
  surplus: number;
  last: T | undefined;
}

/** Says which refusals of a minute are written down by themselves, and counts the others. */
export class RefusalBudget<T> {
  readonly #counts = new Map<string, Count<T>>();
  #written = 0;
  /** Of more clients than are told apart. */
  #others = 0;

  /** Whether this one is written down by itself. @param key - whose it is */
  take(key: string, refusal: T): boolean {
    let count = this.#counts.get(key);
    if (!count && this.#counts.size < mostKeys) {
      count = { written: 0, surplus: 0, last: undefined };
      this.#counts.set(key, count);
    }
    if (!count || (this.#written >= budget.all && count.surplus === 0)) {
      this.#others++;
      return false;
    }
    if (count.written >= budget.each) {
      count.surplus++;
      count.last = refusal;
      return false;
    }
    count.written++;
    this.#written++;
    return true;
  }

  /** The minute is over. @returns what was counted in it */
  end(): Surplus<T>[] {
    const all: Surplus<T>[] = [...this.#counts.values()]
      .filter(({ surplus }) => surplus > 0)
      .map(({ last, surplus }) => ({ last, count: surplus }));
    if (this.#others > 0) all.push({ last: undefined, count: this.#others });
    this.#counts.clear();
    this.#written = 0;
    this.#others = 0;
    return all;
  }
}
