import type { Logger } from "pino";
import type { ClaimedRun, Queue } from "../db/queue.ts";

/** What a {@link QueueWorker} works with. */
interface QueueWorkerParts {
  queue: () => Queue;
  nodeId: string;
  /** Ids of the agents that this process serves. */
  agents: () => readonly string[];
  /** Background runs that are under way here at most. */
  concurrency: number;
  logger: Logger;
  /** Sees a run to its end. Never rejects. */
  run: (claimed: ClaimedRun) => Promise<void>;
}

/** Milliseconds after which it looks again without having been told to. */
const pollInterval = 1000;

/** Takes runs out of the queue whenever there is room for more, and when something may have come in. */
export class QueueWorker {
  readonly #parts: QueueWorkerParts;
  #running = 0;
  #claiming = false;
  /** Whether something may have come in while it was looking. */
  #again = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: QueueWorkerParts) {
    this.#parts = parts;
  }

  /** Begins to work. Called again, it does nothing. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.wake(), pollInterval).unref();
    this.wake();
  }

  /** Takes no more. What is under way goes on. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** Whether the answer to a claim is on its way. */
  get isClaiming(): boolean {
    return this.#claiming;
  }

  /** Whether it has no room for another run. */
  get isFull(): boolean {
    return this.#running >= this.#parts.concurrency;
  }

  /** Says that there may be something to do. */
  wake(): void {
    if (this.#stopped || this.#timer === undefined) return;
    this.#again = true;
    if (this.#claiming) return;
    void this.#claim();
  }

  async #claim(): Promise<void> {
    const { queue, nodeId, agents, concurrency, logger, run } = this.#parts;
    this.#claiming = true;
    try {
      while (this.#again && !this.#stopped && this.#running < concurrency) {
        this.#again = false;
        const claimed = await queue().claim(nodeId, agents(), concurrency - this.#running);
        this.#running += claimed.length;
        for (const one of claimed) {
          void run(one).finally(() => {
            this.#running--;
            this.wake();
          });
        }
      }
    } catch (error) {
      // The database is away, or will not have it. The next look is at most a second off.
      logger.warn({ err: error }, "the queue could not be looked at");
    } finally {
      this.#claiming = false;
    }
  }
}
