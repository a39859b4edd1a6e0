import { setTimeout as sleep } from "node:timers/promises";
import type { Queue } from "../db/queue.ts";
import { DatabaseUnavailableError } from "../errors.ts";
import type { LiveRun } from "./live-run.ts";

/** Milliseconds after which a run that waits looks again: what it waits for may end in another process. */
const pollInterval = 1000;

/** Milliseconds for which a database that is away is asked again. */
const patience = 30_000;

/** One run's place among those that wait for a session. */
export class Turn {
  readonly #leave: (turn: Turn) => void;
  #isFreed = false;
  #wake: () => void = () => undefined;

  constructor(leave: (turn: Turn) => void) {
    this.#leave = leave;
  }

  /** Says that a run of the session has ended. */
  free(): void {
    this.#isFreed = true;
    this.#wake();
  }

  /** Resolves when a run of the session has ended since the last call, when it is time to look, or on abort. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.#isFreed && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, pollInterval);
      signal.addEventListener("abort", this.#wake, { once: true });
      await promise;
      clearTimeout(timer);
      signal.removeEventListener("abort", this.#wake);
    }
    this.#isFreed = false;
  }

  leave(): void {
    this.#leave(this);
  }
}

/** Foreground runs that wait until the earlier runs of their session have ended. */
export class Turns {
  readonly #waiting = new Map<string, Set<Turn>>();

  /** Takes a place. What ends from now on is told. */
  join(sessionId: string): Turn {
    const waiting = this.#waiting.get(sessionId) ?? new Set();
    const turn = new Turn((one) => {
      waiting.delete(one);
      if (waiting.size === 0) this.#waiting.delete(sessionId);
    });
    this.#waiting.set(sessionId, waiting.add(turn));
    return turn;
  }

  /** Tells those who wait for a session that one of its runs has ended. */
  freed(sessionId: string): void {
    for (const turn of this.#waiting.get(sessionId) ?? []) turn.free();
  }

  /**
   * Lets a foreground run wait until the earlier runs of its session have ended, or until it is to end itself.
   *
   * @param signal - of its caller: aborting it cancels the run
   * @returns whether it begins; somebody else may have ended it meanwhile
   */
  async wait(run: LiveRun, queue: Queue, signal: AbortSignal | undefined): Promise<boolean> {
    const letGo = run.cancelOn(signal);
    const turn = this.join(run.sessionId);
    let awaySince: number | undefined;
    try {
      while (true) {
        try {
          const now = await queue.begin(run.runId, run.signal.aborted);
          if (now !== "waits") return now === "begins";
          awaySince = undefined;
          await turn.next(run.signal);
        } catch (error) {
          awaySince ??= performance.now();
          const isOver = performance.now() - awaySince > patience;
          if (isOver || !(error instanceof DatabaseUnavailableError)) throw error;
          // Nothing has become of the run meanwhile: it is asked again.
          await sleep(pollInterval);
        }
      }
    } finally {
      turn.leave();
      letGo();
    }
  }
}
