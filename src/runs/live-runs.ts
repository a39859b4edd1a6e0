import { RunReleasedError, ServerStoppedError } from "../errors.ts";
import type { LiveRun } from "./live-run.ts";

/** The runs that are under way in this process, and how they leave it when it stops. */
export class LiveRuns {
  readonly #runs = new Map<string, LiveRun>();
  /** How many of them each session has. */
  readonly #sessions = new Map<string, number>();
  /** Ids of runs that are accepted or claimed, and not yet under way. */
  readonly arriving = new Set<string>();
  readonly #onLeft: (run: LiveRun) => Promise<void> | undefined;
  /** What a stop waits for: runs, with all that their end takes, and what may bring another run. */
  readonly #work = new Set<Promise<unknown>>();
  #isStopping = false;
  /** Whether the time for runs under way is over. */
  #isOverdue = false;

  /** @param onLeft - called with each run that is no longer under way here */
  constructor(onLeft: (run: LiveRun) => Promise<void> | undefined) {
    this.#onLeft = onLeft;
  }

  get size(): number {
    return this.#runs.size;
  }

  get all(): LiveRun[] {
    return [...this.#runs.values()];
  }

  /** Whether a run of the session is under way here. */
  hasSession(sessionId: string): boolean {
    return this.#sessions.has(sessionId);
  }

  get(runId: string): LiveRun | undefined {
    return this.#runs.get(runId);
  }

  /** Holds a run as one that is under way here until its work is done. */
  keep(run: LiveRun, work: Promise<void>): Promise<void> {
    return this.during(async () => {
      this.#runs.set(run.runId, run);
      this.#count(run.sessionId, 1);
      if (this.#isStopping) run.release();
      if (this.#isOverdue) run.abort(stopped(run));
      try {
        await work;
      } finally {
        // It may have paused, and go on here already.
        if (this.#runs.get(run.runId) === run) this.#runs.delete(run.runId);
        this.#count(run.sessionId, -1);
        await this.#onLeft(run);
      }
    });
  }

  #count(sessionId: string, change: number): void {
    const count = (this.#sessions.get(sessionId) ?? 0) + change;
    if (count > 0) this.#sessions.set(sessionId, count);
    else this.#sessions.delete(sessionId);
  }

  /** Does something that a stop waits for, as it may bring a run. */
  during<T>(work: () => Promise<T>): Promise<T> {
    const done: Promise<T> = work().finally(() => this.#work.delete(done));
    this.#work.add(done);
    return done;
  }

  /**
   * Waits until none is left. Background runs are given back at their next checkpoint; what is not done in time is given
   * back then, or ends.
   *
   * @param limit - milliseconds
   */
  async leave(limit: number): Promise<void> {
    this.#isStopping = true;
    const timer = setTimeout(() => {
      this.#isOverdue = true;
      for (const run of this.all) run.abort(stopped(run));
    }, limit);
    for (const run of this.all) run.release();
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
    clearTimeout(timer);
  }
}

/** Why a run ends that is under way when the time is over: somebody else goes on with one that is in background. */
function stopped(run: LiveRun): Error {
  return run.identity.background ? new RunReleasedError() : new ServerStoppedError();
}
