import type { Logger } from "pino";
import { type ClaimedRun, isSuspect, type Queue } from "../db/queue.ts";

/** What a {@link QueueWorker} works with. */
interface QueueWorkerParts {
  queue: () => Queue;
  nodeId: string;
  /** Ids of the agents that this process serves. */
  agents: () => readonly string[];
  /** Background runs that are under way here at most. */
  concurrency: number;
  logger: Logger;
  /** Sees a run to its end. Never rejects. `onCheckpoint` is called once it has come to one. */
  run: (claimed: ClaimedRun, onCheckpoint: () => void) => Promise<void>;
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
  /** The run beside which no other is begun: it may have cost servers their lives. */
  #alone: string | undefined;
  /** Whether it takes nothing until it is idle, so that it can do such a run. */
  #emptying = false;
  /** Sessions with a run under way here that others may wait for. */
  readonly #sessions = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  /** Milliseconds that such a run waits for an idle server. Each its own, so that one makes room for it and not all at once. */
  readonly #patience = 3_000 + Math.random() * 12_000;

  constructor(parts: QueueWorkerParts) {
    this.#parts = parts;
  }

  /** Begins to work. Called again, it does nothing. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.#look(), pollInterval).unref();
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

  /**
   * Keeps a place for a run that is about to be accepted, and may begin here at once.
   *
   * @returns what gives the place back; undefined where there is none to have
   */
  reserve(): (() => void) | undefined {
    const isOpen = this.#timer !== undefined && !this.#stopped && !this.#alone && !this.#emptying;
    if (!isOpen || this.isFull) return undefined;
    this.#running++;
    return () => {
      this.#running--;
      // Nothing waits that was not looked at, most of the time.
      if (this.#again) this.wake();
    };
  }

  /** A run may wait for one of its session that is under way here. */
  waitsFor(sessionId: string): void {
    this.#sessions.add(sessionId);
  }

  /** A run of a session is no longer under way here: one that waited for it may begin. */
  freed(sessionId: string): void {
    if (this.#sessions.delete(sessionId)) this.wake();
  }

  /** Says that there may be something to do. */
  wake(): void {
    if (this.#stopped || this.#timer === undefined) return;
    this.#again = true;
    if (this.#claiming) return;
    void this.#claim();
  }

  async #claim(): Promise<void> {
    const { queue, nodeId, agents, concurrency, logger } = this.#parts;
    this.#claiming = true;
    try {
      while (this.#again && !this.#stopped && !this.isFull && !this.#alone) {
        const idle = this.#running === 0;
        if (this.#emptying && !idle) return;
        this.#again = false;
        const free = concurrency - this.#running;
        // Theirs already: what is accepted meanwhile must not take the same places.
        this.#running += free;
        let claimed: ClaimedRun[] = [];
        try {
          claimed = await queue().claim(nodeId, agents(), { free, idle });
        } finally {
          this.#running -= free - claimed.length;
        }
        // There may be more than there was room for.
        if (claimed.length === free) this.#again = true;
        for (const one of claimed) this.#begin(one);
      }
    } catch (error) {
      // The database is away, or will not have it. The next look is at most a second off.
      logger.warn({ err: error }, "the queue could not be looked at");
    } finally {
      this.#claiming = false;
    }
  }

  #begin(claimed: ClaimedRun): void {
    const { run_id: runId } = claimed.row;
    if (isSuspect(claimed.row)) this.#alone = runId;
    const isHarmless = () => {
      if (this.#alone !== runId) return;
      this.#alone = undefined;
      this.wake();
    };
    void this.#parts.run(claimed, isHarmless).finally(() => {
      this.#running--;
      isHarmless();
      this.wake();
    });
  }

  /** Looks whether a run that has to be done alone waits in vain. */
  async #look(): Promise<void> {
    const { queue, agents, logger } = this.#parts;
    try {
      this.#emptying =
        this.#running > 0 && !this.#alone && (await queue().wantsIdle(agents(), this.#patience));
    } catch (error) {
      logger.warn({ err: error }, "the queue could not be looked at");
    }
    this.wake();
  }
}
