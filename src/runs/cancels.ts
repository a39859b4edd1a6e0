import type { Logger } from "pino";
import type { Database } from "../db/database.ts";
import { RunCancelledError } from "../errors.ts";
import type { LiveRun } from "./live-run.ts";
import type { LiveRuns } from "./live-runs.ts";

/** What cancels runs, wherever they are. */
export class Cancels {
  readonly #db: Database;
  readonly #live: LiveRuns;
  readonly #logger: Logger;

  constructor(parts: { db: Database; live: LiveRuns; logger: Logger }) {
    this.#db = parts.db;
    this.#live = parts.live;
    this.#logger = parts.logger;
  }

  /**
   * Cancels a run. One that is under way here has ended when this resolves, as has one that waited or was paused; one that
   * is under way elsewhere is told to stop. One that has ended stays as it is.
   */
  async cancel(runId: string): Promise<void> {
    const run = this.#live.get(runId);
    run?.abort(new RunCancelledError());
    // Of a foreground run here, its own end is all that has to be written, also where it waits still.
    if (!run || run.identity.background) await this.#inDatabase(runId, !run);
    // That its end could not be stored is told to its readers and to the log.
    const ended = await run?.ended().catch(() => undefined);
    // It was about to pause when it was told, and its cancel is answered once it is done.
    if (ended?.status === "paused") await this.#inDatabase(runId, true);
  }

  /** Somebody asked another process for it. */
  hear(runId: string): void {
    this.#live.get(runId)?.abort(new RunCancelledError());
  }

  /** Tells a run to stop that another run of its session is to take the place of. It is marked already. */
  interrupt(runId: string): void {
    const run = this.#live.get(runId);
    if (run) run.abort(new RunCancelledError("Another run of the session took its place."));
    else this.#db.signals().publish({ kind: "cancel", runId });
  }

  /** Ends a run that has paused, where a cancel came meanwhile, from here or from elsewhere, and found nobody to do it. */
  async paused(run: LiveRun): Promise<void> {
    try {
      if (run.signal.reason instanceof RunCancelledError) return await this.#inDatabase(run.runId, false);
      const index = await this.#db.queue().cancelPaused(run.runId, new RunCancelledError());
      if (index !== undefined) this.#db.signals().publish({ kind: "log", runId: run.runId, index });
    } catch (error) {
      this.#logger.error({ err: error, ...run.logIds }, "a paused run could not be cancelled");
    }
  }

  /** @param elsewhere - whether it may be under way in another process */
  async #inDatabase(runId: string, elsewhere: boolean): Promise<void> {
    const found = await this.#db.queue().cancel(runId, new RunCancelledError());
    if (found?.endedAt !== undefined) {
      this.#db.signals().publish({ kind: "log", runId, index: found.endedAt });
    } else if (found?.status === "running" && elsewhere) {
      this.#db.signals().publish({ kind: "cancel", runId });
    }
  }
}
