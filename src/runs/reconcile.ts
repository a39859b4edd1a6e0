import type { Logger } from "pino";
import type { Queue } from "../db/queue.ts";
import { RunCancelledError, ServerStoppedError } from "../errors.ts";
import { logIdsOf } from "../telemetry/log-ids.ts";
import type { LiveRun } from "./live-run.ts";

/** What is compared. */
interface ReconcilerParts {
  queue: () => Queue;
  nodeId: string;
  logger: Logger;
  live: (runId: string) => LiveRun | undefined;
  /** Whether a run is on its way to being under way here. */
  isArriving: (runId: string) => boolean;
}

/**
 * Compares the runs that the database holds for this process's with those that it knows. The answer to a claim or to an
 * accepted run can be lost, and a cancel that was asked for elsewhere too.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  /** Those that were unknown at the last look: one look may come between a commit and its answer. */
  #unknown = new Set<string>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** Compares once. */
  async look(): Promise<void> {
    const { queue, nodeId, logger, live, isArriving } = this.#parts;
    const before = this.#unknown;
    this.#unknown = new Set();
    for (const held of await queue().heldBy(nodeId)) {
      const { runId, attempt, background, cancelRequested } = held;
      const run = live(runId);
      if (run) {
        if (cancelRequested) run.abort(new RunCancelledError());
      } else if (!isArriving(runId)) {
        if (!before.has(runId)) this.#unknown.add(runId);
        else {
          logger.warn(logIdsOf(held.named), "gives back a run that it does not know");
          if (background) await queue().release(runId, attempt);
          else await queue().end(runId, attempt, new ServerStoppedError());
        }
      }
    }
  }
}
