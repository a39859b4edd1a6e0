import { createHash } from "node:crypto";
import type pg from "pg";
import { newId } from "../../events/ids.ts";
import { LocalSignals, type Signal, type SignalListener, type Signals } from "../signals.ts";
import { Listener } from "./listener.ts";
import { Notifier } from "./notifier.ts";
import { readPayload } from "./signal-payload.ts";

/** What {@link PostgresSignals} needs. */
interface Parts {
  /** A pool of one connection, for sending. */
  pool: pg.Pool;
  /** Where to listen. */
  listenUrl: string;
  /** Servers on other schemas of the same database have signals of their own. */
  schema: string;
}

/**
 * Signals by LISTEN and NOTIFY, over two connections of their own: one that sends, one that listens. Inside this process
 * they take no way over the database.
 */
export class PostgresSignals implements Signals {
  readonly #local = new LocalSignals();
  readonly #sender = newId();
  readonly #notifier: Notifier;
  readonly #listener: Listener;
  readonly #failed = new Set<"send" | "listen">();
  #isOpen = false;
  #subscribed = false;
  /** Whether no other process is alive: then nothing has to be sent. Undefined before the first sign of life here. */
  #alone: boolean | undefined;

  constructor({ pool, listenUrl, schema }: Parts) {
    const channel = channelOf(schema);
    this.#notifier = new Notifier(pool, { channel, sender: this.#sender }, (error) =>
      this.#report("send", error),
    );
    this.#listener = new Listener(listenUrl, channel, {
      onPayload: (payload) => this.#receive(payload),
      onConnected: () => {
        this.#report("listen", undefined);
        this.#local.resync();
      },
      onFailure: (error) => this.#report("listen", error),
    });
  }

  publish(signal: Signal): void {
    this.#local.publish(signal);
    if (!this.#alone) this.#notifier.send(signal);
  }

  /** This process has given a sign of life. The first time, the others are told: they may believe to be alone. */
  beaten(alone: boolean): void {
    if (this.#alone === undefined) this.#notifier.greet();
    this.#alone = alone;
  }

  subscribe(listener: SignalListener): () => void {
    this.#subscribed = true;
    if (this.#isOpen) this.#listener.start();
    return this.#local.subscribe(listener);
  }

  /** The database is there: listens, as soon as somebody wants to know. */
  open(): void {
    this.#isOpen = true;
    if (this.#subscribed) this.#listener.start();
  }

  async close(): Promise<void> {
    await Promise.all([this.#notifier.close(), this.#listener.close()]);
  }

  #receive(payload: string): void {
    const { sender, signals } = readPayload(payload);
    if (sender === this.#sender) return;
    this.#alone &&= false;
    for (const signal of signals) this.#local.deliver(signal);
  }

  #report(part: "send" | "listen", error: Error | undefined): void {
    if (!error) return void this.#failed.delete(part);
    const isFirst = this.#failed.size === 0;
    this.#failed.add(part);
    if (isFirst) this.#local.outage(error);
  }
}

/** A name within the 63 bytes that PostgreSQL gives it, whatever the schema's. */
function channelOf(schema: string): string {
  return `agentos_${createHash("sha256").update(schema).digest("hex").slice(0, 16)}`;
}
