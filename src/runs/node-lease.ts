import type { Logger } from "pino";
import type { Leases } from "../db/leases.ts";

/** How this process shows that it is alive. Milliseconds. */
export interface LeaseOptions {
  /** How long others take it for alive after its last sign. */
  lease: number;
  /** How often it gives one. */
  beat: number;
  /** How often it looks for runs of processes that are not. */
  sweep: number;
}

/** What {@link NodeLease} does where nothing else is said. */
export const defaultLeaseOptions: LeaseOptions = { lease: 10_000, beat: 3_000, sweep: 2_000 };

/** A lease counts as lost so much before its end, so that nothing is begun under it that others may think is theirs. */
const margin = 2_000;

/** The lease of all runs of this process: it is renewed as long as the process lives, and the dead ones' runs are ended. */
export class NodeLease {
  readonly nodeId: string;
  readonly #leases: () => Leases;
  readonly #options: LeaseOptions;
  readonly #logger: Logger;
  readonly #onLost: () => void;
  readonly #onRequeued: () => void;
  readonly #onBeat: () => Promise<void>;
  readonly #timers: NodeJS.Timeout[] = [];
  #holding: Promise<void> | undefined;
  #renewedAt = 0;
  #busy: Promise<unknown> = Promise.resolve();

  /**
   * @param parts - `onLost` is called when it could not be renewed in time, `onRequeued` when runs of a dead process were
   *   put back into the queue, `onBeat` after each sign of life but the first
   */
  constructor(
    nodeId: string,
    parts: {
      leases: () => Leases;
      options: LeaseOptions;
      logger: Logger;
      onLost: () => void;
      onRequeued: () => void;
      onBeat: () => Promise<void>;
    },
  ) {
    this.nodeId = nodeId;
    this.#leases = parts.leases;
    this.#options = parts.options;
    this.#logger = parts.logger;
    this.#onLost = parts.onLost;
    this.#onRequeued = parts.onRequeued;
    this.#onBeat = parts.onBeat;
  }

  /** Resolves once this process holds its lease. The first call takes it, and ends what dead processes left behind. */
  hold(): Promise<void> {
    this.#holding ??= this.#begin().catch((error: unknown) => {
      this.#holding = undefined;
      throw error;
    });
    return this.#holding;
  }

  /** Gives the lease back. */
  async release(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    if (!this.#holding) return;
    await this.#busy.catch(() => undefined);
    await this.#leases()
      .release(this.nodeId)
      .catch((error: unknown) => this.#logger.warn({ err: error }, "the lease was not given back"));
  }

  async #begin(): Promise<void> {
    await this.#beat();
    await this.#sweep();
    this.#every(this.#options.beat, async () => {
      await this.#beat();
      await this.#onBeat();
    });
    this.#every(this.#options.sweep, () => this.#sweep());
    this.#every(Math.min(1000, this.#options.beat), () => this.#check());
  }

  #every(milliseconds: number, work: () => Promise<void>): void {
    let running = false;
    const timer = setInterval(() => {
      if (running) return;
      running = true;
      this.#busy = work()
        .catch((error: unknown) => this.#logger.warn({ err: error }, "the lease could not be looked after"))
        .finally(() => {
          running = false;
        });
    }, milliseconds);
    timer.unref();
    this.#timers.push(timer);
  }

  async #beat(): Promise<void> {
    // Counted from before it was asked for: the answer may have taken long.
    const asked = performance.now();
    await this.#leases().beat(this.nodeId, this.#options.lease);
    this.#renewedAt = asked;
  }

  async #sweep(): Promise<void> {
    const { ended, requeued } = await this.#leases().sweep();
    for (const run_id of ended) this.#logger.warn({ run_id }, "ended a run whose server had stopped");
    for (const run_id of requeued)
      this.#logger.warn({ run_id }, "a run whose server had stopped waits again");
    if (requeued.length > 0) this.#onRequeued();
  }

  #check(): Promise<void> {
    const age = performance.now() - this.#renewedAt;
    if (age > this.#options.lease - Math.min(margin, this.#options.lease / 5)) this.#onLost();
    return Promise.resolve();
  }
}
