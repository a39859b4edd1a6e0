import type { LogStanding } from "../db/records.ts";
import { isUnderWay } from "./log-standing.ts";

/** What is known of a stored log that somebody here follows, and who waits for more of it. */
export class FollowedLog {
  readonly runId: string;
  /** How many follow it. */
  readers = 0;
  #standing: LogStanding | undefined;
  #isGone = false;
  #heard = -1;
  readonly #waiting = new Set<() => void>();

  constructor(runId: string) {
    this.runId = runId;
  }

  /** How it stood when last looked at, and what was heard since. Undefined before the first look. */
  get standing(): LogStanding | undefined {
    return this.#standing;
  }

  /** Whether the run was deleted. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Takes what the database says of it: undefined for a run that is not there. */
  see(standing: LogStanding | undefined): void {
    if (!standing) {
      this.#isGone = true;
      this.wake();
      return;
    }
    const before = this.#standing;
    // Two answers may overtake each other, and a signal both. What is older says nothing of how the run stands now.
    if (before && standing.lastIndex < before.lastIndex) return;
    const isOld = standing.lastIndex < this.#heard;
    this.#standing = isOld ? { ...standing, status: "running", lastIndex: this.#heard } : standing;
    const hasGrown = before?.lastIndex !== this.#standing.lastIndex;
    if (hasGrown || isUnderWay(before) !== isUnderWay(this.#standing)) this.wake();
  }

  /** Takes a signal that the log has grown. */
  hear(index: number): void {
    this.#heard = Math.max(this.#heard, index);
    if (!this.#standing || index <= this.#standing.lastIndex) return;
    // Where it had paused, it goes on.
    this.#standing = { ...this.#standing, status: "running", lastIndex: index };
    this.wake();
  }

  /** Resolves when there is something new to know, or the reader need not wait any more. */
  changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      signal.addEventListener("abort", done);
      this.#waiting.add(done);
    });
  }

  /** Lets everybody who waits look again. */
  wake(): void {
    for (const done of this.#waiting) done();
  }
}
