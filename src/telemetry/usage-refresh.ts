import { setImmediate as breathe } from "node:timers/promises";
import type { Logger } from "pino";
import type { Database } from "../db/database.ts";
import type { RunMetrics } from "../events/metrics.ts";

/** Runs that are counted in one transaction. */
const atOnce = 200;

/** Milliseconds between two counts of what has ended meanwhile. */
const every = 60_000;

/** Brings the metrics up to date: what it costs is what is new, not what there is. */
export class UsageRefresh {
  readonly #db: Database;
  readonly #logger: Logger;
  readonly #price: (metrics: RunMetrics) => RunMetrics;
  #running: Promise<Set<string>> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(db: Database, logger: Logger, price: (metrics: RunMetrics) => RunMetrics) {
    this.#db = db;
    this.#logger = logger;
    this.#price = price;
  }

  /** Whether it is at work here. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Refreshes from time to time from now on. Called again, it does nothing. */
  start(): void {
    if (this.#timer || this.#stopped) return;
    this.#timer = setInterval(() => this.inBackground(), every);
    this.#timer.unref();
  }

  /** Refreshes, and leaves a failure to the log and the status. */
  inBackground(): void {
    if (this.#running || this.#stopped) return;
    this.#begin().catch((error: unknown) => {
      this.#logger.warn({ err: error }, "the metrics were not refreshed; tried again later");
    });
  }

  /**
   * Counts every run that has ended by now.
   *
   * @returns the days that changed
   */
  async refresh(): Promise<Set<string>> {
    // What is under way may have looked already before the caller's last run ended.
    const before = await this.#running?.catch(() => undefined);
    const now = await (this.#running ?? this.#begin());
    return new Set([...(before ?? []), ...now]);
  }

  /** Refreshes no more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running?.catch(() => undefined);
  }

  #begin(): Promise<Set<string>> {
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<Set<string>> {
    const usage = this.#db.usage();
    const days = new Set<string>();
    await usage.note({ status: "running", error: undefined });
    try {
      while (!this.#stopped) {
        const counted = await usage.count(atOnce, this.#price);
        for (const day of counted.days) days.add(day);
        if (counted.runs < atOnce) break;
        await breathe();
      }
      await usage.note({ status: "completed", error: undefined });
      return days;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      await usage.note({ status: "failed", error: reason }).catch(() => undefined);
      throw error;
    }
  }
}
