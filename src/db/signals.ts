/**
 * What one process tells all others that share the database. A signal only says where to look: what it is about is
 * committed before it is sent, and one that is lost costs time, never data.
 */
export type Signal =
  /** The stored log of a run has grown; `index` is that of its last event. */
  | { kind: "log"; runId: string; index: number }
  /** Somebody asked for a run to be cancelled. */
  | { kind: "cancel"; runId: string }
  /** A run waits to be taken up. */
  | { kind: "queue" }
  /** A run was accepted or began in a session. */
  | { kind: "session"; sessionId: string; runId: string };

/** Who wants to know. It is called in a turn of its own, never inside `publish`, and must not throw. */
export interface SignalListener {
  signal?(signal: Signal): void;
  /** Signals may have been missed: look at everything that they would have told. Called after each (re)connect. */
  resync?(): void;
  /** Signals to or from other processes do not get through for now. Called once an outage. */
  outage?(error: Error): void;
}

/** Carries signals between the processes that share a database. Each gets those of all, its own too. */
export interface Signals {
  /** Tells all processes. Never fails and never waits: call it after the commit that it is about. */
  publish(signal: Signal): void;

  /** @returns what ends it */
  subscribe(listener: SignalListener): () => void;
}

/** Signals inside one process: all that a database needs which only one process can have open. */
export class LocalSignals implements Signals {
  readonly #listeners = new Set<SignalListener>();

  publish(signal: Signal): void {
    queueMicrotask(() => this.deliver(signal));
  }

  subscribe(listener: SignalListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Gives a signal to everybody here, now. */
  deliver(signal: Signal): void {
    for (const listener of this.#listeners) listener.signal?.(signal);
  }

  /** Tells everybody here that signals may have been missed. */
  resync(): void {
    for (const listener of this.#listeners) listener.resync?.();
  }

  /** Tells everybody here that signals do not get through. */
  outage(error: Error): void {
    for (const listener of this.#listeners) listener.outage?.(error);
  }
}

/** Signals that wait to be sent. Of what says the same, or less, only the last is kept. */
export class PendingSignals {
  readonly #signals = new Map<string, Signal>();

  get size(): number {
    return this.#signals.size;
  }

  add(signal: Signal): void {
    const key = keyOf(signal);
    const before = this.#signals.get(key);
    if (before?.kind === "log" && signal.kind === "log" && before.index > signal.index) return;
    this.#signals.set(key, signal);
  }

  /** Hands over all that waits. */
  take(): Signal[] {
    const taken = [...this.#signals.values()];
    this.#signals.clear();
    return taken;
  }
}

function keyOf(signal: Signal): string {
  switch (signal.kind) {
    case "queue":
      return "queue";
    case "session":
      return `session ${signal.runId} ${signal.sessionId}`;
    default:
      return `${signal.kind} ${signal.runId}`;
  }
}
