import type { Logger } from "pino";
import type { Leases } from "../db/leases.ts";
import { LeaseLostError } from "../errors.ts";
import { logIdsOf } from "../telemetry/log-ids.ts";

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

/** What {@link NodeLease} works with. */
interface NodeLeaseParts {
  leases: () => Leases;
  options: LeaseOptions;
  logger: Logger;
  /** Whether other processes may share the database: without them nobody can take anything over. */
  isShared: boolean;
  /** Called while it could not be renewed in time, again and again. */
  onLost: () => void;
  /** Called when runs of a dead process were put back into the queue. */
  onRequeued: () => void;
  /** Called as often as a sign of life is given, beside that. */
  onBeat: () => Promise<void>;
}

/** The lease of all runs of this process: it is renewed as long as the process lives, and the dead ones' runs are ended. */
export class NodeLease {
  readonly nodeId: string;
  readonly #parts: NodeLeaseParts;
  readonly #lease: number;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #busy = new Set<Promise<void>>();
  #holding: Promise<void> | undefined;
  #renewedAt: number | undefined;
  #isLost = false;
  #regainedAt = Number.NEGATIVE_INFINITY;

  constructor(nodeId: string, parts: NodeLeaseParts) {
    this.nodeId = nodeId;
    this.#parts = parts;
    const { lease } = parts.options;
    this.#lease = lease - Math.min(margin, lease / 5);
  }

  /**
   * Whether nobody else can think that this process is dead. Told by its own monotonic clock, which goes on while the
   * process is frozen: so whoever asks right before doing something knows it, whatever timers have yet to run.
   */
  get isHeld(): boolean {
    if (this.#renewedAt === undefined || !this.#parts.isShared) return true;
    return performance.now() - this.#renewedAt < this.#lease;
  }

  /** @throws {LeaseLostError} when another process may be at the runs of this one */
  mustBeHeld(): void {
    if (!this.isHeld) throw new LeaseLostError();
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
    await Promise.all(this.#busy);
    await this.#parts
      .leases()
      .release(this.nodeId)
      .catch((error: unknown) => this.#parts.logger.warn({ err: error }, "the lease was not given back"));
  }

  async #begin(): Promise<void> {
    await this.#beat();
    await this.#sweep();
    const { beat, sweep } = this.#parts.options;
    // Each by itself: what takes long must not hold up a sign of life.
    this.#every(beat, () => this.#beat());
    this.#every(beat, this.#parts.onBeat);
    this.#every(sweep, () => this.#sweep());
    this.#every(Math.min(1000, beat), async () => this.#check());
  }

  #every(milliseconds: number, work: () => Promise<void>): void {
    let running = false;
    const timer = setInterval(() => {
      if (running) return;
      running = true;
      const round = work()
        .catch((error: unknown) =>
          this.#parts.logger.warn({ err: error }, "the lease could not be looked after"),
        )
        .finally(() => {
          running = false;
          this.#busy.delete(round);
        });
      this.#busy.add(round);
    }, milliseconds);
    timer.unref();
    this.#timers.push(timer);
  }

  async #beat(): Promise<void> {
    const { leases, options } = this.#parts;
    // Counted from before it was asked for: the answer may have taken long.
    const asked = performance.now();
    await leases().beat(this.nodeId, options.lease);
    // What was under way before is not ours again for having a lease again.
    this.#check();
    this.#renewedAt = asked;
    if (this.#isLost && this.isHeld) this.#regainedAt = performance.now();
    this.#check();
  }

  async #sweep(): Promise<void> {
    const { leases, logger, options, onRequeued } = this.#parts;
    // A process that was held up is alive: it must not take itself for dead.
    if (performance.now() - (this.#renewedAt ?? 0) > options.lease / 2) await this.#beat();
    // Whoever was cut off from the database was so hardly alone: the others are given time to say that they live.
    if (performance.now() - this.#regainedAt < options.lease) return;
    const { ended, requeued, failed } = await leases().sweep();
    for (const run of ended) logger.warn(logIdsOf(run), "ended a run whose server had stopped");
    for (const run of requeued) logger.warn(logIdsOf(run), "a run whose server had stopped waits again");
    for (const { run, error } of failed) {
      logger.error({ err: error, ...logIdsOf(run) }, "a run whose server had stopped could not be ended");
    }
    if (requeued.length > 0) onRequeued();
  }

  #check(): void {
    const { logger, onLost } = this.#parts;
    const isLost = !this.isHeld;
    if (isLost !== this.#isLost) {
      if (isLost) logger.error("the lease was not renewed in time: this server lets go of its runs");
      else logger.warn("the lease is held again");
    }
    this.#isLost = isLost;
    if (isLost) onLost();
  }
}
