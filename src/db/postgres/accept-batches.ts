import { DatabaseUnavailableError } from "../../errors.ts";
import type { AcceptParameters } from "../queries/accept.ts";
import type { AcceptedSession } from "./accept-batch.ts";

/** Runs in one batch at most, and what they may hold together, in characters of their input. */
const mostRuns = 100;
const mostCharacters = 1024 * 1024;

/**
 * Milliseconds after which the next batch does not wait for the one before any longer: a session in it may be locked by
 * somebody who takes their time.
 */
const patience = 50;

interface Waiting {
  run: AcceptParameters;
  resolve: (session: AcceptedSession | undefined) => void;
  reject: (error: unknown) => void;
}

/**
 * Accepts runs in batches: those that come in one turn of the event loop, and those that come while a batch is on its way.
 * The more there is to do, the less a run costs, here and in the database.
 */
export class AcceptBatches {
  readonly #accept: (runs: readonly AcceptParameters[]) => Promise<AcceptedSession[]>;
  #waiting: Waiting[] = [];
  /** Whether a batch is about to be made, or on its way. */
  #busy = false;

  /** @param accept - accepts runs whose sessions differ, all or none, and gives the sessions that they may have */
  constructor(accept: (runs: readonly AcceptParameters[]) => Promise<AcceptedSession[]>) {
    this.#accept = accept;
  }

  /** Accepts a run. @returns its session, or undefined where that is somebody else's */
  accept(run: AcceptParameters): Promise<AcceptedSession | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject });
      if (this.#busy) return;
      this.#busy = true;
      setImmediate(() => this.#next());
    });
  }

  #next(): void {
    const batch = this.#take();
    this.#busy = batch.length > 0;
    if (!this.#busy) return;
    let isOver = false;
    const goOn = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#next();
    };
    const timer = setTimeout(goOn, patience);
    void this.#send(batch).then(goOn);
  }

  /** The next runs, each of another session: one statement can change a row only once. */
  #take(): Waiting[] {
    const sessions = new Set<string>();
    const batch: Waiting[] = [];
    const later: Waiting[] = [];
    let characters = 0;
    for (const one of this.#waiting) {
      const { session_id, input } = one.run;
      const isFull = batch.length === mostRuns || characters > mostCharacters;
      if (isFull || sessions.has(session_id)) later.push(one);
      else {
        sessions.add(session_id);
        characters += input.length;
        batch.push(one);
      }
    }
    this.#waiting = later;
    return batch;
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    try {
      const claimed = await this.#accept(batch.map(({ run }) => run));
      const sessions = new Map(claimed.map((session) => [session.session_id, session]));
      for (const { run, resolve } of batch) resolve(sessions.get(run.session_id));
    } catch (error) {
      // One of them is to blame, and only that one may fail. A database that is away is nobody's fault.
      const forAll = batch.length === 1 || error instanceof DatabaseUnavailableError;
      if (forAll) for (const { reject } of batch) reject(error);
      else await Promise.all(batch.map((one) => this.#send([one])));
    }
  }
}
