import { setTimeout as wait } from "node:timers/promises";
import type pg from "pg";
import { PendingSignals, type Signal } from "../signals.ts";
import { payloadsOf } from "./signal-payload.ts";

/** Signals that may wait while the database is away. Who misses one finds out by its next poll. */
const pendingLimit = 10_000;

/** Longest pause between two tries, in milliseconds. */
const longestPause = 5_000;

/**
 * A transaction that notified holds one lock for the whole cluster through its commit, so it must not wait for the disk.
 * The setting is that of this transaction alone: behind PgBouncer the connection serves others too.
 */
const notifyText =
  "SELECT set_config('synchronous_commit', 'off', true), count(pg_notify($1, payload)) FROM unnest($2::text[]) AS payload";

/** Sends signals, one statement at a time: what comes while one is on its way goes with the next. */
export class Notifier {
  readonly #pool: pg.Pool;
  readonly #channel: string;
  readonly #sender: string;
  readonly #report: (error: Error | undefined) => void;
  readonly #pending = new PendingSignals();
  readonly #stop = new AbortController();
  #isNew = false;
  #sending: Promise<void> | undefined;

  /**
   * @param pool - of one connection, for nothing else
   * @param report - told of each failure, and of success with undefined
   */
  constructor(
    pool: pg.Pool,
    to: { channel: string; sender: string },
    report: (error: Error | undefined) => void,
  ) {
    this.#pool = pool;
    this.#channel = to.channel;
    this.#sender = to.sender;
    this.#report = report;
  }

  send(signal: Signal): void {
    this.#pending.add(signal);
    this.#start();
  }

  /** Says to the others that this process is there. */
  greet(): void {
    this.#isNew = true;
    this.#start();
  }

  #start(): void {
    if (this.#stop.signal.aborted) return;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Sends what waits, unless the database is away, and closes the connection. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#sending;
    await this.#pool.end();
  }

  async #sendAll(): Promise<void> {
    // What is published in one turn goes together.
    await null;
    for (let failures = 0; this.#isNew || this.#pending.size > 0; ) {
      const signals = this.#pending.take();
      try {
        await this.#pool.query(notifyText, [this.#channel, payloadsOf(this.#sender, signals)]);
        this.#isNew = false;
        failures = 0;
        this.#report(undefined);
      } catch (error) {
        this.#report(error instanceof Error ? error : new Error(String(error)));
        if (this.#stop.signal.aborted) return;
        if (signals.length + this.#pending.size <= pendingLimit) {
          for (const signal of signals) this.#pending.add(signal);
        }
        const pause = Math.min(longestPause, 50 * 2 ** failures++);
        await wait(pause, undefined, { ref: false, signal: this.#stop.signal }).catch(() => undefined);
      }
    }
  }
}
